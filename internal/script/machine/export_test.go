package machine

// MaxNesting is how many evaluations may wait for each other.
const MaxNesting = maxNesting

// Count is how many threads there are, and how many coroutines scripts may still name.
func (m *Machine) Count() (threads, coroutines int) { return len(m.threads), len(m.coroutines) }

// WantsBack receives when a thread that has stepped aside wants the machine back. Whoever
// has received calls WantsBackStill, or the machine does not see it.
func (m *Machine) WantsBack() <-chan struct{} { return m.aside.wake }

// WantsBackStill undoes receiving from WantsBack.
func (m *Machine) WantsBackStill() { m.aside.signal() }

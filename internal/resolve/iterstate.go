package resolve

// IterState is what the iterate layer and the driver remember about one query
// between steps.
type IterState struct{}

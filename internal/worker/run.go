package worker

// Run is a worker's whole life. It returns the exit status: 0 after a normal
// end. It takes SIGTERM and SIGINT, a lost supervisor and quit() as the wish to
// end.
func Run(o Options) int {
	o.fill()
	return 1
}

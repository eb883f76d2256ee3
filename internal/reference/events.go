package reference

func events() Chapter {
	return Chapter{Title: "event", Intro: "Functions that are called later, or when a descriptor can be read. Times are in milliseconds.", Entries: []Entry{
		{Name: "event", Summary: "timers and activity on descriptors; times are in milliseconds, use the constants sec, minute, hour", Example: "event.after(5 * sec, function() log('five seconds later') end)"},
		{
			Name: "event.after", Summary: "call a function once after some time",
			Params:  []string{"ms: the time", "function: called with the event's number"},
			Returns: "the event's number",
			Example: "event.after(1 * minute, function(id) log('event %d', id) end)",
		},
		{
			Name: "event.recurrent", Summary: "call a function now and again after each interval",
			Params:  []string{"ms: the interval; 0 calls it once", "function: called with the event's number"},
			Returns: "the event's number",
			Example: "event.recurrent(5 * minute, function() cache.prune(1000) end)",
		},
		{
			Name: "event.reschedule", Summary: "let a running event fire once after some time from now",
			Params:  []string{"id: the event's number", "ms: the time"},
			Returns: "false when there is no such event",
			Example: "event.reschedule(event.after(hour, function() end), 1 * minute)",
		},
		{
			Name: "event.socket", Summary: "call a function whenever a descriptor can be read",
			Params:  []string{"descriptor: the number of a pipe, a socket or a terminal", "function: called with the event's number, 0 or a negative error number, and 1 for readable"},
			Returns: "the event's number",
			Example: "event.cancel(event.socket(0, function(id, status, events) print('activity detected') end))", Apart: "standard input may be a file",
		},
		{
			Name: "event.cancel", Summary: "end an event",
			Params:  []string{"id: the event's number; id.cancel(id) does the same"},
			Returns: "false when there is no such event",
			Example: "event.cancel(event.after(hour, function() end))",
		},
	}}
}

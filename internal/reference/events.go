package reference

func events() Chapter {
	return Chapter{Title: "event", Intro: "Functions that are called later. Times are in milliseconds.", Entries: []Entry{
		{Name: "event", Summary: "timers; times are in milliseconds, use the constants sec, minute, hour", Example: "event.after(5 * sec, function() log('five seconds later') end)"},
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
			Name: "event.cancel", Summary: "end an event",
			Params:  []string{"id: the event's number; id.cancel(id) does the same"},
			Returns: "false when there is no such event",
			Example: "event.cancel(event.after(hour, function() end))",
		},
	}}
}

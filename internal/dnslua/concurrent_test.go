package dnslua_test

import (
	"fmt"
	"maps"
	"sync"
	"testing"

	"kresd/internal/dnslua/dnsluatest"
	"kresd/internal/dnslua/requests"
	"kresd/internal/script"
)

// Many requests at once are shown to one script, which keeps what it gets of each: it never
// sees another request's data, and what it kept is an error while the request's own
// goroutine goes on. The race detector tells if the two meet.
func TestManyRequestsAtOnce(t *testing.T) {
	w := dnsluatest.New(t)
	w.Run(`
		kept, wrong = {}, {}
		keep(function(req, name)
			local function check(ok, what) if not ok then table.insert(wrong, name .. what) end end
			local wire = todname(name)
			check(req:current().sname == wire and req.answer:qname() == wire and req.answer:rrsets(0)[1]:owner() == wire, ' is somebody else')
			check(req:vars().name == nil, ' has the table of another')
			req:vars().name = name
			req:current().flags.NO_CACHE = true
			req.answer:put(wire, 5, 1, kres.type.TXT, '\1x')
			for _, old in ipairs(kept) do
				for what, use in pairs{
					req = function() return old.req.uid end, answer = function() return old.answer:section(0) end, put = function() return old.answer:put(wire, 5, 1, 1, 'abcd') end,
					set = function() return old.set:rdata(0) end, flags = function() old.flags.TCP = true end, list = function() return old.list.at[0] end,
					query = function() return old.query.sname end, vars = function() return old.req:vars() end, text = function() return old.req:selected_tostring() end,
				} do check(not pcall(use), ' used ' .. what .. ' of another') end
				tostring(old.req) tostring(old.answer) tostring(old.set) tostring(old.flags)
			end
			local one = { req = req, answer = req.answer, set = req.answer:rrsets(0)[1], flags = req:current().flags, list = req.answ_selected, query = req:current() }
			kept[#kept % 10 + 1] = one
		end)`)
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			name := fmt.Sprintf("n%d.example.", i)
			req := dnsluatest.Finished(t, name)
			for range 3 {
				if err := w.Views.Show(req, true, func(c *script.Call, h *script.Handle) error {
					_, err := w.Kept.Call(h, name)
					return err
				}); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				// The request's own goroutine has it for itself again.
				req.Result.Answer, req.Options.TCPOnly, req.Vars[i] = req.Result.Answer[:1:1], true, i
				maps.DeleteFunc(req.Vars, func(_, v any) bool { _, is := v.(*requests.View); return is })
			}
		})
	}
	all.Wait()
	w.Expect(dnsluatest.Step{"#kept", "10\n"}, dnsluatest.Step{"return table.concat(wrong, ', ')", ""})
}

package dnslua_test

import (
	"testing"

	"kresd/internal/dnslua/dnsluatest"
)

func TestTheMapDropsWhatIsUsedLeast(t *testing.T) {
	dnsluatest.New(t).Run(`
		local map = kres.lru(2, 'uint64_t')
		assert(map:get('a') == nil and map:set('a', 1) == true and map:set('b', 2) and map:get('a') == 1)
		map:set('c', 3)
		assert(map:get('b') == nil and map:get('a') == 1 and map:get('c') == 3 and #map == 2)
		local place = map:get_ref('a', 1, true)
		place[0] = place[0] + 41
		assert(map:get('a') == 42 and map:get_ref('nosuch', 6) == nil and map:get_ref('axxx', 1)[0] == 42)
		assert(map:get_ref('new', 3, true)[0] == 0 and #map == 2)
		for _, f in ipairs{
			function() kres.lru(0) end, function() kres.lru() end, function() kres.lru(2^30) end, function() map:set('a', 'x') end, function() map:set('a') end,
			function() map:get(5) end, function() map:get_ref('a', 2) end, function() return place[1] end, function() place[1] = 5 end, function() place[0] = 'x' end,
		} do assert(not pcall(f)) end
	`)
}

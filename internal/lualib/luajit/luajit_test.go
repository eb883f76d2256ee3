package luajit

import (
	"context"
	"testing"

	"kresd/internal/script"
	"kresd/internal/script/command"
)

func TestWhatScriptsForKresdRequire(t *testing.T) {
	vm, err := command.New(script.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer vm.Close()
	if err := vm.Do(context.Background(), func(*script.Call) error { vm.AddLibraries(Libraries()...); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := vm.RunText(context.Background(), "script", `
		local len = require('kluautil').kr_table_len
		assert(len({}) == 0 and len({ 1, nil, 3 }) == 2 and len({ a = 1, b = 2, 5 }) == 3 and len('x') == nil)
		local packed = require('kluautil').kr_table_pack(nil, 2, nil)
		assert(packed.n == 3 and packed[2] == 2)
		assert(select('#', require('kluautil').kr_table_unpack(packed)) == 3)
		assert(require('jit').os == 'Linux' and type(require('jit').arch) == 'string' and require('jit').status() == false)
		assert(rawget(_G, 'jit') == nil)`); err != nil {
		t.Error(err)
	}
}

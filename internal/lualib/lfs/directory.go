package lfs

import (
	"os"

	"golang.org/x/sys/unix"

	"kresd/internal/script"
)

// A directory is read as far as a script asks for names.
type directory struct {
	file  *os.File
	names []string
	ended bool
}

func directoryClass() *script.Class {
	class := &script.Class{Name: "directory"}
	class.Methods = []script.Func{
		{Name: "next", Min: 1, Fn: func(c *script.Call) error { return nextName(c, class, 1) }},
		{Name: "close", Min: 1, Fn: func(c *script.Call) error {
			c.Handle(1, class).(*directory).close()
			return nil
		}},
	}
	return class
}

func openDirectory(c *script.Call, class *script.Class) error {
	path := c.String(1)
	f, err := script.Interruptible(c, nil, func() (*os.File, error) { return os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0) })
	if err != nil {
		return failed(c, err, "cannot open "+path+": ")
	}
	return c.Return(&script.Handle{Class: class, Value: &directory{file: f, names: []string{".", ".."}}})
}

// namesAtOnce is how many names are read ahead.
const namesAtOnce = 256

// nextName returns the next name; nil at the end, at which the directory is closed.
func nextName(c *script.Call, class *script.Class, i int) error {
	d := c.Handle(i, class).(*directory)
	if d.ended {
		c.ArgError(i, "closed directory")
	}
	if len(d.names) == 0 {
		names, err := script.Interruptible(c, nil, func() ([]string, error) { return d.file.Readdirnames(namesAtOnce) })
		if _, gone := err.(*script.Interrupt); gone {
			return err
		}
		if len(names) == 0 {
			d.close()
			return c.Return(nil)
		}
		d.names = names
	}
	name := d.names[0]
	d.names = d.names[1:]
	return c.Return(name)
}

func (d *directory) close() {
	d.ended = true
	d.file.Close()
}

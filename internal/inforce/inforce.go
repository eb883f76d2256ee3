// Package inforce keeps the configuration that a process runs, so that whoever takes the
// place of that process when it has died runs the same, whatever its files look like by
// then: the operator may be in the middle of an edit, or a reload may have refused them.
//
// It is kept in memory that has no name (memfd_create(2)) and that the kernel lets nobody
// change any more. Who is given its descriptor can read it: a supervisor, which passes it
// on to the workers that it starts, and the service manager, for a process alone. So no
// disk can be too full for it, no directory that several groups share has two of them, and
// no user may read it who may not read the files.
//
// What is kept is code: the files that were run, and those that they have loaded; and data
// that they have read meanwhile (lists of hosts, root hints, certificates), as much as
// limits.KeptData. Files of trust anchors are not kept: they change while the
// resolver runs (RFC 5011), and an old key is no substitute.
package inforce

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/memfile"
)

// resumed is for the log of a process that has got a configuration from the service manager.
const resumed = "the process before this one has died: what it ran is run again, whatever the configuration files say now; a reload or a restart puts those in force"

// A Configuration is what was run.
type Configuration struct {
	// Files are the paths of those that were run, in their order.
	Files []string
	// Code has the text of these and of all that they have loaded, by paths.
	Code map[string]string
	// Data has the text of files of data, by paths.
	Data map[string]string
}

// Text is what stood in a file of code; not ok: none of that path was loaded. A nil
// Configuration has none.
func (c *Configuration) Text(path string) (text string, ok bool) {
	if c == nil {
		return "", false
	}
	text, ok = c.Code[path]
	return text, ok
}

// Datum is Text for a file of data.
func (c *Configuration) Datum(path string) (text string, ok bool) {
	if c == nil {
		return "", false
	}
	text, ok = c.Data[path]
	return text, ok
}

// A Configuration is written as two values of JSON, one behind the other: code, and then
// data, which may be many times as long and are of use to those alone that run the code.
// Paths and texts are octets: JSON's strings hold UTF-8 only.
type (
	writtenCode struct {
		Files [][]byte    `json:"files"`
		Code  [][2][]byte `json:"code"` // path and text
	}
	writtenData struct {
		Data [][2][]byte `json:"data"` // path and text
	}
)

// name is that of the memory in /proc.
const name = "configuration"

// seals are those of what nobody can change any more.
const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// Keep writes the configuration to memory of its own.
func (c *Configuration) Keep() (*os.File, error) {
	size := 0
	for path, text := range c.Code {
		size += len(path) + len(text)
	}
	if size > limits.KeptConfiguration {
		return nil, fmt.Errorf("its files have %d octets in all, and %d is the most that is kept", size, limits.KeptConfiguration)
	}
	f, err := memfile.New(name)
	if err != nil {
		return nil, err
	}
	if err = c.write(f); err == nil {
		_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// write writes the configuration. Where there are no data nothing stands behind the code,
// so that programs can read it that know of code alone.
func (c *Configuration) write(f io.Writer) error {
	code := writtenCode{Code: pairs(c.Code)}
	for _, path := range c.Files {
		code.Files = append(code.Files, []byte(path))
	}
	to := json.NewEncoder(f)
	if err := to.Encode(code); err != nil || len(c.Data) == 0 {
		return err
	}
	return to.Encode(writtenData{Data: pairs(c.Data)})
}

// Sound tells what is wrong with a descriptor as one that Keep has made: a process that
// strangers have taken over may have sent it.
func Sound(fd int) error {
	have, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil || have&seals != seals {
		return errors.New("it is no memory that nobody can change")
	}
	return nil
}

// Take reads, by Read or ReadCode, what a process that has died has left for the one in its
// place, which ends by nothing that was left: nil where that cannot be read, and so the files
// are run. told is for the log.
func Take(f *os.File, read func(*os.File) (*Configuration, error)) (c *Configuration, told string) {
	c, err := read(f)
	if err != nil {
		return nil, fmt.Sprintf("what the process before this one has run cannot be read (%v): the configuration files are run", err)
	}
	return c, resumed
}

// Read reads what Keep has written. The descriptor's position, which other processes
// share, stays. Data that cannot be read are no more than data that were not kept.
func Read(f *os.File) (*Configuration, error) {
	c, behind, err := read(f)
	if err != nil {
		return nil, err
	}
	var data writtenData
	if behind.Decode(&data) == nil {
		c.Data = texts(data.Data)
	}
	return c, nil
}

// ReadCode is Read for those that run no code: it leaves out the data.
func ReadCode(f *os.File) (*Configuration, error) {
	c, _, err := read(f)
	return c, err
}

// read reads the code; what stands behind it is yet to be decoded.
func read(f *os.File) (c *Configuration, behind *json.Decoder, err error) {
	if err := Sound(int(f.Fd())); err != nil {
		return nil, nil, err
	}
	const most = 2 * (limits.KeptConfiguration + limits.KeptData) // as base64
	from := json.NewDecoder(io.NewSectionReader(f, 0, most))
	var code writtenCode
	if err := from.Decode(&code); err != nil {
		return nil, nil, err
	}
	c = &Configuration{Code: texts(code.Code)}
	for _, path := range code.Files {
		c.Files = append(c.Files, string(path))
	}
	return c, from, nil
}

// pairs are the paths and texts of files.
func pairs(by map[string]string) (files [][2][]byte) {
	for path, text := range by {
		files = append(files, [2][]byte{[]byte(path), []byte(text)})
	}
	return files
}

// texts are those of files by their paths.
func texts(files [][2][]byte) map[string]string {
	by := make(map[string]string, len(files))
	for _, file := range files {
		by[string(file[0])] = string(file[1])
	}
	return by
}

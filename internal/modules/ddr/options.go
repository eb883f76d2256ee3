package ddr

import (
	"errors"
	"fmt"
	"net/url"

	"kresd/internal/luavalue"
)

// maxInfoURL leaves room for the key in one character-string.
const maxInfoURL = 255 - len("infourl=")

// get serves ddr.announce and ddr.infourl.
func (d *ddr) get(key string) (any, error) {
	switch key {
	case "announce":
		return map[int32]any{certified: "certificate", always: true, never: false}[d.announce.Load()], nil
	case "infourl":
		if u := d.infoURLText(); u != "" {
			return u, nil
		}
		return nil, nil
	}
	return nil, fmt.Errorf("unknown option 'ddr.%s'; there are announce and infourl", key)
}

// set serves ddr.announce = value and ddr.infourl = value.
func (d *ddr) set(key string, value any) error {
	switch key {
	case "announce":
		switch value {
		case true:
			d.announce.Store(always)
		case false:
			d.announce.Store(never)
		case "certificate":
			d.announce.Store(certified)
		default:
			return errors.New("ddr.announce: true, false or 'certificate' expected")
		}
	case "infourl":
		text, ok := value.(string)
		if value != nil {
			u, err := url.Parse(text)
			if !ok || err != nil || u.Scheme != "https" || u.Host == "" || len(text) > maxInfoURL {
				return fmt.Errorf("ddr.infourl: nil or a URL that begins with https:// expected, of %d characters at most", maxInfoURL)
			}
		}
		d.infoURL.Store(&text)
	default:
		return fmt.Errorf("unknown option 'ddr.%s'; there are announce and infourl", key)
	}
	d.forget()
	return nil
}

// config serves modules = { ddr = { announce = …, infourl = … } }.
func (d *ddr) config(value any) error {
	t, ok := value.(*luavalue.Table)
	if value != nil && !ok {
		return errors.New("ddr: a table expected, such as { announce = true }")
	}
	if !ok {
		return nil
	}
	for _, p := range t.Pairs {
		key, _ := p.Key.(string)
		if err := d.set(key, p.Value); err != nil {
			return err
		}
	}
	return nil
}

package bindings

import (
	"os/user"
	"strconv"
)

func lookupUser(name string) (uid int, gids []int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, nil, err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return 0, nil, err
	}
	for _, id := range ids {
		if n, err := strconv.Atoi(id); err == nil {
			gids = append(gids, n)
		}
	}
	uid, err = strconv.Atoi(u.Uid)
	return uid, gids, err
}

func lookupGroup(name string) (int, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(g.Gid)
}

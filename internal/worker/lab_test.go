package worker

import (
	"os"
	"testing"

	"kresd/internal/logging"
)

func TestALaboratoryIsOfTheEnvironment(t *testing.T) {
	log := logging.New(logging.Options{Out: logging.NewRing(os.Stderr, 1<<16), Level: logging.Error})
	for _, tc := range []struct {
		port, noExplore string
		want            labSettings
		fails           bool
	}{
		{},
		{port: "5300", want: labSettings{port: 5300}},
		{noExplore: "1", want: labSettings{noExplore: true}},
		{port: "0", fails: true},
		{port: "65536", fails: true},
		{port: "domain", fails: true},
	} {
		got, err := laboratoryOf(func(name string) string {
			return map[string]string{upstreamPortVar: tc.port, noExploreVar: tc.noExplore}[name]
		}, log)
		if (err != nil) != tc.fails || !tc.fails && got != tc.want {
			t.Errorf("port %q and %q: %+v, %v; want %+v, an error: %v", tc.port, tc.noExplore, got, err, tc.want, tc.fails)
		}
	}
}

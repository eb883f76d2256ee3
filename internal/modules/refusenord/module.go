// Package refusenord is the module refuse_nord: questions whose RD bit is not set are refused,
// be the answer known or not, so that nobody can find out what is in the cache.
//
// Without the module such questions are answered from the cache alone. What a module before
// this one says, a rule for instance, is said to them, too.
package refusenord

import (
	"kresd/internal/ede"
	"kresd/internal/module"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// Module is the module refuse_nord. It uses nothing of the worker.
func Module() module.Module {
	return module.Module{
		Name: "refuse_nord",
		Open: func(*module.Host) (*module.Instance, error) {
			res := refused()
			answer := reply.Prepare(&res)
			return &module.Instance{
				Layer: &resolve.Layer{Name: "refuse_nord", Begin: begin},
				Fast: &module.Fast{Begin: func(q *module.Query) module.Disposition {
					if q.Question.RD() {
						return module.Pass
					}
					return q.Answer(answer, nil)
				}},
			}, nil
		},
	}
}

// refused is what such a client is told (RFC 8914, section 4.21).
func refused() resolve.Result {
	return resolve.Result{Rcode: wire.RcodeRefused, EDE: ede.NotAuthoritative, NoCache: true}
}

func begin(r *resolve.Request) resolve.State {
	if r.RD || !r.Client.IsValid() {
		return resolve.Produce
	}
	r.Result = refused()
	return resolve.Done
}

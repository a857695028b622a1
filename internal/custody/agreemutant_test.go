//go:build mutant

package custody_test

import (
	"testing"

	"github.com/abaton-health/abaton/internal/custody"
)

// TestMutantKeeperDisagrees: a keeper with one check off takes what the others
// refuse, and a life is found that shows it.
func TestMutantKeeperDisagrees(t *testing.T) {
	for _, check := range []string{"standing", "lease", "grant", "step-up", "policy", "budget"} {
		t.Run(check, func(t *testing.T) {
			mutant := custody.Mutation{Skip: check}
			for _, l := range lives(thrown) {
				if disagreement(t, l, mutant, nil) == "" {
					continue
				}
				differ := func(l life) string { return disagreement(t, l, mutant, nil) }
				l = shortened(l, differ)
				t.Logf("seed %d, %v: %s", l.seed, l.acts, differ(l))
				return
			}
			t.Errorf("no life of %d shows the keeper without the check", thrown+1)
		})
	}
}

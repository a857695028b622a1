package custody

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/store"
)

// waysBack refuses the first record of a patient whose log holds fewer than
// actor.WaysNeeded ways back in: whoever loses the only phone would have lost
// everything. Later records are taken whatever has become of those ways: care
// goes on.
func (c *Core) waysBack(st *actor.State) error {
	if st.Kind() != actor.Patient || st.Ways().Enough() {
		return nil
	}
	begun, err := c.begun(st)
	if err != nil || begun {
		return err
	}
	return abaton.Refuse(abaton.ReasonWays)
}

// begun reports whether this keeper holds any record of the patient.
func (c *Core) begun(st *actor.State) (begun bool, err error) {
	for _, line := range st.Lines() {
		err := c.store.Notices(st.Actor(), line.Line, func(abaton.BatchName, store.Notice) bool {
			begun = true
			return false
		})
		if err != nil || begun {
			return begun, err
		}
	}
	return false, nil
}

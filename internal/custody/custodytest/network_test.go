package custodytest_test

import (
	"testing"

	"github.com/abaton-health/abaton/internal/custody/custodytest"
)

func TestKeepersHearEachOther(t *testing.T) {
	n := custodytest.New(t, 5)
	for x, k := range n.Keepers {
		if k.LedgerSize() != 0 {
			t.Errorf("keeper %d: got %d entries in an idle ledger, want 0", x, k.LedgerSize())
		}
	}
}

package grant

import "github.com/abaton-health/abaton"

// Case is when a grant opens: always, or only while a case is stated in the
// patient's log (PROTOCOL.md#case). A grant for a case lies dormant until then: it
// is given, wrapped and revocable like any other, and opens nothing.
type Case uint8

// The cases of version 1.
const (
	Always     Case = iota // an ordinary grant; it ends at a death
	Incapacity             // the patient cannot decide: a mandate
	Death                  // the patient has died: for heirs
)

// String is the word for c.
func (c Case) String() string {
	switch c {
	case Always:
		return "always"
	case Incapacity:
		return "incapacity"
	case Death:
		return "death"
	}
	return "none"
}

// Stated reports whether c is a case that can be stated.
func (c Case) Stated() bool { return c == Incapacity || c == Death }

// whenValid: what is given for a case opens, and writes nothing.
func (g *Grant) whenValid() bool {
	return g.When == Always || g.When.Stated() && g.Actions == Read
}

// opensNow says why a grant does not open in the case that is stated, or
// nothing. What was given to others ends at a death; what is still to be written
// down of that life may be.
func (f Facts) opensNow(g *Grant, a Access) abaton.Reason {
	switch {
	case f.Frozen && g.When != Death && a.Action != Deposit:
		return abaton.ReasonFrozen
	case g.When != Always && g.When != f.Stated:
		return abaton.ReasonDormant
	}
	return ""
}

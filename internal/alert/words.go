package alert

import (
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/detect"
)

// Severity is the OCSF severity of an alert, from 1 informational to 5 critical.
func (a *Alert) Severity() int {
	switch a.What {
	case Held:
		if a.Act == Close {
			return 1
		}
		return severityOf(a.Level)
	case Silent, Loud:
		if a.Act == Close {
			return 1
		}
		return 4
	case Found:
		if a.Reason == abaton.ReasonCloned || a.Reason == abaton.ReasonEquivocation {
			return 5
		}
		return 4
	case GaveUp:
		return 4
	}
	return 1
}

func severityOf(l detect.Level) int {
	switch {
	case l >= detect.SuspendPerson:
		return 5
	case l == detect.SuspendSession:
		return 4
	case l == detect.Throttle:
		return 3
	case l == detect.StepUp:
		return 2
	}
	return 1
}

// severityWord is the OCSF name of a severity.
func severityWord(s int) string {
	return [...]string{"Unknown", "Informational", "Low", "Medium", "High", "Critical"}[s]
}

// Title says what an alert is about, in words without a name.
func (a *Alert) Title() string {
	switch a.What {
	case Held:
		switch a.Act {
		case Close:
			return fmt.Sprintf("A %s is held back no more: %s", a.Kind, a.Ended)
		case Update:
			return fmt.Sprintf("A %s is held back further: %s", a.Kind, a.Level)
		}
		return fmt.Sprintf("A %s is held back: %s", a.Kind, a.Level)
	case Silent:
		if a.Act == Close {
			return fmt.Sprintf("Keeper %d answers again", a.Keeper)
		}
		return fmt.Sprintf("Keeper %d does not answer", a.Keeper)
	case Found:
		return fmt.Sprintf("Keeper %d found: %s", a.Keeper, a.Reason)
	case Loud:
		if a.Act == Close {
			return fmt.Sprintf("Keeper %d says no more than can be", a.Keeper)
		}
		return fmt.Sprintf("Keeper %d alone says more than can be", a.Keeper)
	case GaveUp:
		return "Another target of alerts did not take one for too long"
	case AllWell:
		if a.Open == 0 {
			return "All quiet"
		}
		return fmt.Sprintf("Alerts go out; open: %d", a.Open)
	case Trial:
		return "A test of the alerts: nothing has happened"
	}
	return "unknown"
}

// ruleName is what a rule looks at, as in docs/DETECTION.md.
func ruleName(r detect.Rule) string {
	words := [...]string{"rate", "volume", "burst", "slow", "drift", "enumeration", "delicate", "two devices", "emergencies", "honey",
		"off shift", "surprise", "readers", "keeper", "late"}
	if int(r) < len(words) {
		return words[r]
	}
	return "unknown"
}

func keeperName(x abaton.KeeperIndex) string { return fmt.Sprintf("keeper-%d", x) }

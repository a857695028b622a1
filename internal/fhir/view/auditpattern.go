package view

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
)

// balp is where IHE publishes Basic Audit Log Patterns 1.1 (CC-BY-4.0).
const balp = "https://profiles.ihe.net/ITI/BALP/"

// pattern is how one kind of disclosure is written: its profile, and what
// that fixes.
type pattern struct {
	profile        string // empty where no profile says what happened
	kind, subtype  coding
	action         string
	client, keeper coding // the agents at the two ends of the wire
	user           string // v3-ParticipationType of who asked
	asks           bool   // a query stands in place of what was touched
	authorizes     bool   // a decision about a consent, and nothing besides
}

// patternOf is the pattern of a line. BALP has profiles for what succeeded and
// for decisions on consent; what was refused without a grant, or in part, is an
// AuditEvent of no profile.
func patternOf(l *ledger.Line) pattern {
	rest := coding{System: systemEvent, Code: "rest"}
	ends := func(client, keeper string) (coding, coding) {
		return coding{System: systemDICOM, Code: client}, coding{System: systemDICOM, Code: keeper}
	}
	p := pattern{kind: rest, action: "E", user: "IRCP"}
	p.client, p.keeper = ends("110152", "110153")
	verb := func(action, code, profile string) {
		p.action, p.profile = action, profile
		p.subtype = coding{System: systemInteraction, Code: code}
	}
	switch l.Op {
	case ledger.OpRelease, ledger.OpPermit, ledger.OpExport, ledger.OpRelock, ledger.OpRepair:
		verb("R", "read", "IHE.BasicAudit.PatientRead")
	case ledger.OpList, ledger.OpIndex, ledger.OpHistory: // of these three the question counts
		verb("E", "search-type", "IHE.BasicAudit.PatientQuery")
		p.client, p.keeper = ends("110153", "110152")
		p.asks = true
	case ledger.OpDeposit:
		verb("C", "create", "IHE.BasicAudit.PatientCreate")
		p.client, p.keeper = ends("110153", "110152")
		p.user = "AUT"
	case ledger.OpErase:
		verb("D", "delete", "IHE.BasicAudit.PatientDelete")
		p.client = coding{System: systemDICOM, Code: "110150"}
		p.keeper = coding{System: systemProvenance, Code: "custodian"}
		p.user = "AUT"
	}
	if decides(l) {
		return pattern{profile: "IHE.BasicAudit.AuthZconsent", kind: coding{System: systemDICOM, Code: "110113"}, action: "E",
			subtype: coding{System: systemBALPAuthZ, Code: "AuthZ-Consent"}, client: coding{System: systemDICOM, Code: "110150"},
			keeper: coding{System: systemSecurity, Code: "authserver"}, user: "IRCP", authorizes: true}
	}
	if answered(l) != ledger.Permitted || !p.asks && len(l.Rows) == 0 {
		p.profile = ""
	}
	return p
}

// decides reports whether a line is best told as a decision about a grant: it
// was refused, or opened nothing but the way to a key.
func decides(l *ledger.Line) bool {
	if l.Grant == (abaton.GrantID{}) || l.Organisation == (abaton.ActorID{}) {
		return false
	}
	switch l.Op {
	case ledger.OpUnseal, ledger.OpEmergency, ledger.OpConfirm:
		return true
	}
	return answered(l) == ledger.Refused
}

package ledger

// Op is what an entry records. The zero Op is refused.
type Op uint8

// The operations of version 1 (PROTOCOL.md#ledger-entry).
const (
	OpRelease   Op = 1  // shares and fragments of records were asked for
	OpPermit    Op = 2  // a permit without bytes was asked for, or renewed
	OpList      Op = 3  // the names of batches in lines
	OpHistory   Op = 4  // this ledger's entries about a patient
	OpIndex     Op = 5  // record 0, the sealed index of batches
	OpDeposit   Op = 6  // new batches
	OpErase     Op = 7  // records erased by the patient's signed event
	OpRelock    Op = 8  // shares released to be locked anew
	OpRepair    Op = 9  // pieces handed to another keeper for repair
	OpExport    Op = 10 // a whole chart released
	OpEvent     Op = 11 // a key-log event took its slot
	OpAdmin     Op = 12 // an operator's act: admission, configuration, stop
	OpRecover   Op = 13 // first entry of the ledger that follows a lost one
	OpUnseal    Op = 14 // a share of an escrow, which Grant names
	OpEmergency Op = 15 // a share of an emergency set, which Grant names
	OpConfirm   Op = 16 // a second clinician's word about an emergency opening
	OpContain   Op = 17 // this keeper began to hold somebody back
	OpLift      Op = 18 // an organisation's signed event ended that
	OpLook      Op = 19 // an officer's signed question to this ledger
)

// opRule says which fields an operation needs.
type opRule struct {
	name    string
	patient bool // names a patient
	rows    bool // names at least one row
	purpose bool // states a purpose
}

func (o Op) rule() (opRule, bool) {
	switch o {
	case OpRelease:
		return opRule{"release", true, true, true}, true
	case OpPermit:
		return opRule{"permit", true, true, true}, true
	case OpList:
		return opRule{"list", true, false, true}, true
	case OpHistory:
		return opRule{"history", true, false, false}, true
	case OpIndex:
		return opRule{"index", true, true, true}, true
	case OpDeposit:
		return opRule{"deposit", true, true, false}, true
	case OpErase:
		return opRule{"erase", true, true, false}, true
	case OpRelock:
		return opRule{"re-lock", true, true, false}, true
	case OpRepair:
		return opRule{"repair", true, true, false}, true
	case OpExport:
		return opRule{"export", true, true, true}, true
	case OpEvent:
		return opRule{name: "event"}, true
	case OpAdmin:
		return opRule{name: "admin"}, true
	case OpRecover:
		return opRule{name: "recover"}, true
	case OpUnseal:
		return opRule{"unseal", true, false, true}, true
	case OpEmergency:
		return opRule{"emergency", true, false, true}, true
	case OpConfirm:
		return opRule{"confirm", true, false, true}, true
	case OpContain:
		return opRule{name: "contain"}, true
	case OpLift:
		return opRule{name: "lift"}, true
	case OpLook:
		return opRule{name: "look"}, true
	}
	return opRule{}, false
}

// String is the word for o in screens and reports.
func (o Op) String() string {
	if r, known := o.rule(); known {
		return r.name
	}
	return "unknown"
}

// Opens reports whether o hands out something that opens records.
func (o Op) Opens() bool {
	switch o {
	case OpRelease, OpPermit, OpIndex, OpRelock, OpExport, OpUnseal, OpEmergency:
		return true
	}
	return false
}

// Outcome is what the keeper answered. The zero Outcome is refused.
type Outcome uint8

// The outcomes of version 1.
const (
	Permitted Outcome = 1 // every record asked for
	Partly    Outcome = 2 // some released, some refused
	Refused   Outcome = 3 // nothing
)

// String is the word for o in screens and reports.
func (o Outcome) String() string {
	switch o {
	case Permitted:
		return "permitted"
	case Partly:
		return "partly"
	case Refused:
		return "refused"
	}
	return "unknown"
}

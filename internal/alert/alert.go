// Package alert makes an organisation's alerts from what its keepers say they
// hold, and writes them for its own systems: OCSF, Standard Webhooks, syslog,
// e-mail (docs/adr/0037-alerts.md).
//
//	fresh := book.Take(&look)            // what opened, rose or ended since the last look
//	body := fresh[0].Webhook(org)        // and Syslog, Mail
//	headers := signer.Sign(id, now, body)
//
// An alert has pseudonyms of people, sessions and devices, levels, rules and
// times; never a patient, a record, a category or a name. Keepers choose what they
// say: one that lies can invent alerts, up to the bound of a book, and can hide
// only what the others do not say either. Nothing here proves that an alert was
// read by anybody.
package alert

import (
	"encoding/hex"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/wire"
)

// What says what an alert is about. Zero is nothing.
type What uint8

// What there is.
const (
	Held    What = iota + 1 // somebody is held back
	Silent                  // a keeper does not answer
	Found                   // a keeper found something: of itself, or a sign of attack
	Loud                    // a keeper alone says more than can be
	GaveUp                  // another target did not take an alert for too long
	AllWell                 // a heartbeat: the alerts that are open, by number
	Trial                   // a test of the configuration
	whatEnd
)

// String is the word for w in the events.
func (w What) String() string {
	words := [...]string{"none", "held", "keeper-silent", "keeper-found", "keeper-loud", "target-failed", "heartbeat", "test"}
	if w < whatEnd {
		return words[w]
	}
	return "unknown"
}

// Act is what became of the case that an alert is about. Zero is nothing.
type Act uint8

// The acts: the activities of an OCSF finding.
const (
	Create Act = iota + 1
	Update
	Close
	Tell // of something without an end
)

// String is the word for a in the types of webhooks.
func (a Act) String() string {
	words := [...]string{"none", "created", "updated", "closed", "told"}
	if int(a) < len(words) {
		return words[a]
	}
	return "unknown"
}

// Keeper is what one keeper does about a subject.
type Keeper struct {
	Keeper abaton.KeeperIndex `json:"keeper"`
	Level  detect.Level       `json:"level"`
	Since  int64              `json:"since"` // unix seconds
	Until  int64              `json:"until"` // exclusive
	Proof  bool               `json:"proof,omitempty"`
}

// Alert is one message about one case. Its fields are all that any format has to
// say. The zero Alert says nothing and no format writes it.
type Alert struct {
	ID   string `json:"id"`   // of this message, the same however often it is sent
	Case string `json:"case"` // the same from create to close
	Act  Act    `json:"act"`
	What What   `json:"what"`
	Time int64  `json:"time"` // unix seconds: the look that found it

	Kind     contain.Kind         `json:"kind,omitempty"`    // of the subject, for Held
	Subject  string               `json:"subject,omitempty"` // its pseudonym, act1... or ses1...
	Level    detect.Level         `json:"level,omitempty"`   // what two keepers do; of one alone at most throttle
	Rules    detect.Rules         `json:"rules,omitempty"`
	Keepers  []Keeper             `json:"keepers,omitempty"`
	By       []abaton.KeeperIndex `json:"by,omitempty"`       // by whose verdicts
	Verdicts []string             `json:"verdicts,omitempty"` // their names, for a lift
	Since    int64                `json:"since,omitempty"`
	Until    int64                `json:"until,omitempty"`

	Keeper abaton.KeeperIndex `json:"keeper,omitempty"` // for Silent, Found and Loud
	Reason abaton.Reason      `json:"reason,omitempty"` // for Found
	Count  uint64             `json:"count,omitempty"`  // for Found: how often ever
	Target string             `json:"target,omitempty"` // for GaveUp: as the configuration calls it
	Ended  string             `json:"ended,omitempty"`  // for Close: ended, lifted or answers
	Open   int                `json:"open"`             // cases open after this look
}

// Valid reports whether there is anything to say.
func (a *Alert) Valid() bool {
	return a.ID != "" && a.Case != "" && a.Act >= Create && a.Act <= Tell && a.What >= Held && a.What < whatEnd
}

// subjectName is the text of a subject, so that nobody takes one for another.
func subjectName(k contain.Kind, id [32]byte) string {
	if k == contain.KindSession {
		return abaton.SessionID(id).String()
	}
	return abaton.ActorID(id).String()
}

// caseName names a case: what it is about, since when, and which time it opened.
func caseName(organisation abaton.ActorID, w What, subject [32]byte, since int64, again uint64) string {
	sum := wire.Hash(wire.Alert, organisation[:], []byte{byte(w)}, subject[:], wire.U64(uint64(since)), wire.U64(again))
	return hex.EncodeToString(sum[:16])
}

// messageName names one message about a case. A case rises to a level once and
// ends once.
func messageName(name string, act Act, level detect.Level) string {
	sum := wire.Hash(wire.Alert, []byte(name), []byte{byte(act), byte(level)})
	return "alr_" + hex.EncodeToString(sum[:16])
}

// keeperSubject is a keeper as the subject of a case.
func keeperSubject(x abaton.KeeperIndex) (s [32]byte) {
	s[0] = byte(x)
	return s
}

// subjectOf is anything with a name of its own as the subject of a case.
func subjectOf(name string) [32]byte { return wire.Hash(wire.Alert, []byte(name)) }

// Test is the alert of a test of the configuration.
func Test(organisation abaton.ActorID, nonce [32]byte, now int64) Alert {
	return once(organisation, Alert{What: Trial, Time: now}, nonce, now)
}

// Heartbeat says that somebody looks, and how many cases are open.
func Heartbeat(organisation abaton.ActorID, open int, now int64) Alert {
	return once(organisation, Alert{What: AllWell, Time: now, Open: open}, [32]byte{}, now)
}

// Failed says that another target did not take an alert for too long.
func Failed(organisation abaton.ActorID, target string, open int, now int64) Alert {
	return once(organisation, Alert{What: GaveUp, Act: Create, Time: now, Target: target, Open: open}, subjectOf(target), now)
}

// once is an alert about something without an end: told, or left to people.
func once(organisation abaton.ActorID, a Alert, subject [32]byte, since int64) Alert {
	if a.Act == 0 {
		a.Act = Tell
	}
	a.Case = caseName(organisation, a.What, subject, since, 0)
	a.ID = messageName(a.Case, a.Act, 0)
	return a
}

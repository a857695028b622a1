package report

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// Kind is what a file is. The zero Kind is refused.
type Kind string

// The kinds of file.
const (
	IncidentFile Kind = "incident"
	DraftFile    Kind = "draft"
	NoticeFile   Kind = "notice"
)

func (k Kind) label() (wire.Label, bool) {
	switch k {
	case IncidentFile:
		return wire.Incident, true
	case DraftFile:
		return wire.ReportDraft, true
	case NoticeFile:
		return wire.Notice, true
	}
	return "", false
}

// file is the form of every file: canonical JSON, that is what encoding/json
// writes of it and nothing else.
type file struct {
	V        int             `json:"v"`
	Kind     Kind            `json:"kind"`
	Drill    bool            `json:"drill"`
	Body     json.RawMessage `json:"body"`
	Evidence Evidence        `json:"evidence"`
	Look     []byte          `json:"look"` // canonical CBOR of the question
	Salt     []byte          `json:"salt"` // Name of the question commits to Key by it
	Key      string          `json:"key"`
	Sig      []byte          `json:"sig,omitempty"`
}

const saltSize = 16

// Asked is a question that keepers ledger, and what ties a report's key to it.
type Asked struct {
	Look ledger.Look
	Salt [saltSize]byte
}

// Ask names a question so that the keepers' ledgers commit to the key that will
// sign what is made of the answers: whoever reads a report offline sees there
// that the organisation asked for it (PROTOCOL.md#report).
func Ask(by abaton.KeyID, look ledger.Look) Asked {
	a := Asked{Look: look}
	rand.Read(a.Salt[:])
	a.Look.Name = nameOf(by, a.Salt[:])
	return a
}

func nameOf(by abaton.KeyID, salt []byte) [16]byte {
	h := wire.Hash(wire.ReportName, append(by[:], salt...))
	return [16]byte(h[:16])
}

// seal makes a file of a body.
func seal(kind Kind, drill bool, body any, e Evidence, a *Asked, by *key.Signing) ([]byte, error) {
	label, known := kind.label()
	if !known {
		return nil, fmt.Errorf("seal report: kind is not known")
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("seal report: %w", err)
	}
	f := file{V: 1, Kind: kind, Drill: drill, Body: raw, Evidence: e, Look: wire.Marshal(&a.Look), Salt: a.Salt[:], Key: by.ID().String()}
	signed, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("seal report: %w", err)
	}
	f.Sig = by.Sign(label, signed)
	return json.Marshal(f)
}

// opened is a file whose signature, form and evidence hold.
type opened struct {
	file
	look    ledger.Look
	touched *ledger.Touched
	proofs  *Proofs
	by      abaton.KeyID
	asker   abaton.ActorID
	vouch   []abaton.KeeperIndex // who ledgered the question
}

// open verifies all of a file but what its body says.
func open(data []byte, t *Trust) (*opened, error) {
	if len(data) > FileBytesMax {
		return nil, fails("longer than %d bytes", FileBytesMax)
	}
	o := new(opened)
	if err := strict(data, &o.file); err != nil {
		return nil, fails("it is no report: its form is not known")
	}
	again, err := json.Marshal(o.file)
	if err != nil || !bytes.Equal(again, data) || o.V != 1 {
		return nil, fails("it is not in the one form a report has")
	}
	if err := o.signed(); err != nil {
		return nil, err
	}
	if wire.Unmarshal(o.Look, &o.look) != nil || !o.look.Valid() {
		return nil, fails("its question is not in its form")
	}
	if len(o.Salt) != saltSize || nameOf(o.by, o.Salt) != o.look.Name {
		return nil, fails("its key is not the one the keepers were told of")
	}
	if o.touched, o.proofs, err = o.Evidence.merge(&o.look, t); err != nil {
		return nil, err
	}
	return o, o.vouched(t)
}

func (o *opened) signed() error {
	label, known := o.Kind.label()
	if !known {
		return fails("its kind is not known")
	}
	unsigned := o.file
	unsigned.Sig = nil
	body, err := json.Marshal(unsigned)
	if err != nil {
		return fails("its form is not known")
	}
	if o.by, err = abaton.ParseKeyID(o.Key); err != nil {
		return fails("its key is no key")
	}
	if !key.Verify(o.by, label, body, o.Sig) {
		return fails("its signature: something was changed after it was signed")
	}
	return nil
}

// vouched: more keepers than may lie have the question in their ledgers, from
// somebody of the organisation; they judged who may ask.
func (o *opened) vouched(t *Trust) error {
	for _, l := range o.touched.Lines {
		if l.Op != ledger.OpLook || l.Request != o.look.Hash() {
			continue
		}
		if o.asker != (abaton.ActorID{}) {
			return fails("keepers tell different things of who asked")
		}
		o.asker, o.vouch = l.Actor, l.Keepers
	}
	if t.Shape.Faulty < 0 || len(o.vouch) <= t.Shape.Faulty {
		return fails("only %d keepers show who asked; %d must", len(o.vouch), t.Shape.Faulty+1)
	}
	return nil
}

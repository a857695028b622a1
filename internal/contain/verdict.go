package contain

import (
	"crypto/rand"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// Limits of a verdict.
const (
	// LifeMax is how long a verdict holds at most: a mistake ends by itself
	// within a day.
	LifeMax = 24 * time.Hour
	// EvidenceBytesMax bounds the proof of a verdict, in bytes: a statement
	// and a request.
	EvidenceBytesMax = session.SignedBytesMax + session.RequestBytesMax + 16
	// BytesMax bounds a signed verdict, in bytes.
	BytesMax = EvidenceBytesMax + 512
)

// Verdict is a keeper's word about a subject (PROTOCOL.md#verdict). It never
// says what was read, nor of whom.
type Verdict struct {
	V            uint64             `cbor:"1,keyasint"`
	Keeper       abaton.KeeperIndex `cbor:"2,keyasint"` // whose word it is
	Organisation abaton.ActorID     `cbor:"3,keyasint"` // for which the subject acts; its log may lift this
	Subject      Subject            `cbor:"4,keyasint"`
	Level        detect.Level       `cbor:"5,keyasint"` // step-up to quarantine; fits the subject
	Rules        detect.Rules       `cbor:"6,keyasint"` // that say so
	Time         int64              `cbor:"7,keyasint"` // unix seconds, that keeper's clock
	Until        int64              `cbor:"8,keyasint"` // unix seconds, exclusive; at most LifeMax later
	Nonce        [16]byte           `cbor:"9,keyasint"`
	Evidence     []byte             `cbor:"10,keyasint"` // canonical Evidence, or empty
}

func (v *Verdict) valid() bool {
	return v.V == wire.Version && v.Keeper >= 1 && v.Keeper <= abaton.KeepersMax &&
		v.Organisation != (abaton.ActorID{}) && v.Subject.valid() && v.Subject.Fits(v.Level) && v.Rules != 0 &&
		(v.Subject.Kind != KindOrganisation || v.Subject.ID == v.Organisation) &&
		v.Time > 0 && v.Until > v.Time && v.Until-v.Time <= int64(LifeMax/time.Second) &&
		v.Nonce != [16]byte{} && len(v.Evidence) <= EvidenceBytesMax
}

// Said is a verdict as its keeper signed it. Only Sign and Parse make one.
type Said struct {
	Verdict
	signed wire.Signed
	name   Name
}

// Sign makes a keeper's verdict; it sets V and Nonce. An error says that the
// verdict is not one.
func Sign(k *key.Signing, v Verdict) (*Said, error) {
	v.V = wire.Version
	rand.Read(v.Nonce[:])
	if !v.valid() {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	body := wire.Marshal(v)
	return &Said{Verdict: v, signed: k.Seal(wire.Verdict, body), name: Name(wire.Hash(wire.Verdict, body))}, nil
}

// Parse reads a signed verdict strictly: ReasonMalformed, ReasonTooLarge. It
// does not verify the signature: Verify does.
func Parse(data []byte) (*Said, error) {
	if len(data) > BytesMax {
		return nil, abaton.Refuse(abaton.ReasonTooLarge)
	}
	var s Said
	if wire.Unmarshal(data, &s.signed) != nil || wire.Unmarshal(s.signed.Body, &s.Verdict) != nil || !s.valid() {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	if len(s.Evidence) > 0 {
		if _, err := parseEvidence(s.Evidence); err != nil {
			return nil, err
		}
	}
	s.name = Name(wire.Hash(wire.Verdict, s.signed.Body))
	return &s, nil
}

// Verify reports, as nil, ReasonPeer or ReasonSignature, whether the keeper
// that the set has now at the verdict's index signed it.
func (s *Said) Verify(set *actor.Set) error {
	k := set.Keeper(s.Keeper)
	if k == nil {
		return abaton.Refuse(abaton.ReasonPeer)
	}
	if !key.Verify(k.Key, wire.Verdict, s.signed.Body, s.signed.Sig) {
		return abaton.Refuse(abaton.ReasonSignature)
	}
	return nil
}

// Name names the verdict.
func (s *Said) Name() Name { return s.name }

// Marshal is the signed verdict's one encoding.
func (s *Said) Marshal() []byte { return wire.Marshal(s.signed) }

// Evidence proves what a keeper says: a session statement and a request under
// it, both as they were signed. Whoever reads it knows by itself whether the
// patient is a honey patient; of others it is never made.
type Evidence struct {
	_         struct{} `cbor:",toarray"`
	Statement []byte   // session.Signed
	Request   []byte   // signed session.Request
}

// Marshal is the evidence's one encoding.
func (e *Evidence) Marshal() []byte { return wire.Marshal(e) }

func parseEvidence(data []byte) (*Evidence, error) {
	var e Evidence
	if wire.Unmarshal(data, &e) != nil {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	return &e, nil
}

// Shown is what evidence shows once it is verified.
type Shown struct {
	Session *session.Session
	Patient abaton.ActorID // whom the request is about
}

// Proves verifies the evidence of a verdict: a passkey at rp signed the
// statement, its session signed the request at the time of the verdict, and
// the subject is who asked. Whether key logs let that passkey sign then, and
// whether the patient is a honey patient, the keeper asks.
func (s *Said) Proves(rp key.RelyingParty) (Shown, error) {
	e, err := parseEvidence(s.Evidence)
	if err != nil {
		return Shown{}, err
	}
	statement, err := session.ParseSigned(e.Statement)
	if err != nil {
		return Shown{}, err
	}
	asked, err := session.ParseRequest(e.Request)
	if err != nil {
		return Shown{}, err
	}
	by, err := session.Authenticate(statement, rp)
	if err != nil {
		return Shown{}, err
	}
	if err := asked.Authenticate(by, time.Unix(s.Time, 0)); err != nil {
		return Shown{}, err
	}
	if st := by.Statement(); st.Organisation != s.Organisation || !s.Subject.is(by) {
		return Shown{}, abaton.Refuse(abaton.ReasonActor)
	}
	return Shown{Session: by, Patient: asked.Patient}, nil
}

// is reports whether the subject is whoever's session it is.
func (s Subject) is(by *session.Session) bool {
	st := by.Statement()
	switch s.Kind {
	case KindSession:
		return s == Session(by.ID())
	case KindPerson:
		return s == Person(st.Actor)
	}
	return false // one request says nothing of a device that others use, or of a whole organisation
}

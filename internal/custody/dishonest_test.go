package custody_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// TestBackdatedRoster: a doctor who is not on the roster looks and is refused.
// The hospital writes a roster as of yesterday. It gives nothing for yesterday:
// the refusal stands, the same request is refused again, and each keeper counts
// that somebody dates back.
func TestBackdatedRoster(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	s := w.SignIn(t, w.doctor)
	w.opens5(t, s)
	w.Publish(t, w.org.Event(w.org.Member(w.doctor.ID, abaton.RoleNurse))) // no physician any more
	q := w.release(sealed, 1)
	q.V, q.Session, q.Time, q.Nonce = wire.Version, s.ID, time.Now().Unix(), [16]byte{1}
	request := q.Sign(s.Key)
	for x := range w.Keepers {
		if r, err := w.AskBytes(t.Context(), s, x, request); err != nil || r.Reason != abaton.ReasonStanding {
			t.Fatalf("keeper %d: off the roster: got %v, want %q", x, err, abaton.ReasonStanding)
		}
	}
	yesterday := time.Now().Add(-24 * time.Hour).Unix()
	m := w.org.Member(w.doctor.ID, w.doctor.Role)
	m.NotBefore = yesterday
	w.Publish(t, w.org.Event(m))
	shift := w.doctor.Event(&actor.Duty{To: w.ana.ID, Team: abaton.ActorID{7}, From: yesterday, Until: yesterday + 3600,
		Sealed: make([]byte, key.BoxOverhead+len(key.Secret{}))})
	w.Publish(t, shift)
	for x := range w.Keepers {
		if got := w.found(t, x, abaton.ReasonTime); got != 2 {
			t.Errorf("keeper %d: a roster and a shift as of yesterday: got %d findings, want 2", x, got)
		}
		w.mustAsk(t, s, x, w.release(sealed, 1), keeper.Permitted, "") // from now on
		size := w.Keepers[x].LedgerSize()
		if _, err := w.AskBytes(t.Context(), s, x, request); reasonOf(err) != abaton.ReasonReplay {
			t.Errorf("keeper %d: the request that was refused: got %v, want it refused for ever", x, err)
		}
		if got := w.Keepers[x].LedgerSize(); got != size {
			t.Errorf("keeper %d: got %d entries for the repeat, want none", x, got-size)
		}
	}
	// Dated before what it follows, it is no event at all.
	late := w.org.Event(w.org.Member(w.ana.ID, abaton.RoleNurse))
	var e actor.Event
	if err := wire.Unmarshal(late.Event, &e); err != nil {
		t.Fatal(err)
	}
	e.Time = yesterday
	old := wire.Marshal(e)
	for x := range w.Keepers {
		if got := w.Tell(t, x, actor.Signed(old, actor.ByKey(w.org.Manage, old))); got != abaton.ReasonTime {
			t.Errorf("keeper %d: an event before its parent: got %q, want %q", x, got, abaton.ReasonTime)
		}
	}
}

// TestFindingsAreKept: what a keeper found outlives it, and the same bytes again
// are no second finding.
func TestFindingsAreKept(t *testing.T) {
	w := newWorld(t, 1)
	plain := w.doctor.Passkey
	w.doctor.Passkey = plain.WithCount(9)
	first := w.SignIn(t, w.doctor)
	w.doctor.Passkey = plain.WithCount(3)
	copied := w.SignInAt(t, w.doctor, time.Now().Add(10*time.Second))
	for x := range w.Keepers {
		if _, err := w.Keepers[x].Call(t.Context(), keeper.RouteSession, first.Signed); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := w.Keepers[x].Call(t.Context(), keeper.RouteSession, copied.Signed); reasonOf(err) != abaton.ReasonCloned {
				t.Errorf("keeper %d: a copied passkey: got %v, want %q", x, err, abaton.ReasonCloned)
			}
		}
		if got := w.found(t, x, abaton.ReasonCloned); got != 1 {
			t.Errorf("keeper %d: got %d findings, want 1", x, got)
		}
	}
	w.Restart(t, 2, func() {})
	w.Keepers[2].AwaitMode(t)
	if got := w.found(t, 2, abaton.ReasonCloned); got != 1 {
		t.Errorf("after a restart: got %d findings, want 1", got)
	}
}

// authenticator is one that sets its flags and counter as it likes.
type authenticator struct {
	private *ecdsa.PrivateKey
	flags   byte
	count   uint32
}

func (a *authenticator) public(t *testing.T) key.Public {
	t.Helper()
	b, err := a.private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return append(key.Public{key.AlgorithmES256}, b...)
}

// asserts signs what WebAuthn Level 3, sections 5.8.1 and 6.1, describe.
func (a *authenticator) asserts(t *testing.T, challenge [32]byte) *key.Assertion {
	t.Helper()
	rp := sha256.Sum256([]byte(custodytest.RelyingParty.ID))
	auth := binary.BigEndian.AppendUint32(append(rp[:], a.flags), a.count)
	client := []byte(`{"type":"webauthn.get","challenge":"` + base64.RawURLEncoding.EncodeToString(challenge[:]) +
		`","origin":"` + custodytest.RelyingParty.Origins[0] + `","crossOrigin":false}`)
	hash := sha256.Sum256(client)
	sum := sha256.Sum256(append(append([]byte(nil), auth...), hash[:]...))
	sig, err := ecdsa.SignASN1(rand.Reader, a.private, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return &key.Assertion{Public: a.public(t), AuthData: auth, ClientData: client, Sig: sig}
}

// TestAuthenticatorsAtTheDoor: an authenticator that asked nobody, or says that
// its passkey leaves the device when it was enrolled as one that cannot, begins
// no session at any keeper, however well it signs.
func TestAuthenticatorsAtTheDoor(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	const present, verified, syncs, synced = 1 << 0, 1 << 2, 1 << 3, 1 << 4
	w := newDoorway(t)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authenticator{private: private}
	w.Publish(t, w.guest.Event(&actor.CredentialAdd{Credential: actor.Credential{Public: a.public(t), Class: actor.Bound}}))
	for i, c := range []struct {
		name  string
		flags byte
		count uint32
		want  abaton.Reason
	}{
		{"nobody verified", present, 0, abaton.ReasonSession},
		{"nobody there", verified, 0, abaton.ReasonSession},
		{"neither", 0, 0, abaton.ReasonSession},
		{"backed up, and it cannot be", present | verified | synced, 0, abaton.ReasonSession},
		{"says that it syncs", present | verified | syncs, 0, abaton.ReasonCredential},
		{"as it was enrolled", present | verified, 7, ""},
		{"counts back", present | verified, 6, abaton.ReasonCloned},
		{"keeps no count any more", present | verified, 0, abaton.ReasonCloned},
	} {
		a.flags, a.count = c.flags, c.count
		from := w.arrives(w.guest, time.Duration(i)*10*time.Second)
		from.st.Credential = a.public(t).Credential()
		body := from.st.Marshal()
		id := session.Challenge(body)
		message := (&session.Signed{Statement: body, Assertion: *a.asserts(t, id), Device: from.device(id), Posture: from.posture}).Marshal()
		for _, x := range five {
			if got := w.begins(x, message); got != c.want {
				t.Errorf("%s, keeper %d: got %q, want %q", c.name, x, got, c.want)
			}
		}
	}
}

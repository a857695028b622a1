package emergency_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/emergency"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// night is a hospital with an emergency doctor and a physician, a patient whose
// set two authorities keep, and five keepers.
type night struct {
	*custodytest.Network
	org, ben, eve, ana *custodytest.Person
	authorities        []*custodytest.Person
	lenders            map[abaton.ActorID]emergency.Lender
	net                *client.Network
	set                *actor.Escrow
	setID              abaton.GrantID
	line               abaton.Line
}

func newNight(t *testing.T) *night {
	t.Helper()
	set, ids := custodytest.NewSet(t, 5)
	w := &night{org: custodytest.NewOrganisation(t, set), lenders: make(map[abaton.ActorID]emergency.Lender)}
	for range 2 {
		w.authorities = append(w.authorities, custodytest.NewOrganisation(t, set))
	}
	w.Network = custodytest.Start(t, set, ids, w.org.ID, w.authorities[0].ID, w.authorities[1].ID)
	w.ben, w.eve = custodytest.NewClinician(t, set, w.org), custodytest.NewClinician(t, set, w.org)
	w.ben.Role = abaton.RoleEmergency
	w.ana = custodytest.NewPatient(t, set, w.org, 1)
	w.Publish(t, w.org.Inception, w.authorities[0].Inception, w.authorities[1].Inception, w.ben.Inception, w.eve.Inception, w.ana.Inception)
	w.Enrol(t, w.ben)
	w.Enrol(t, w.eve)
	w.Publish(t, w.ana.Event(w.ana.Line(custodytest.EmergencySet, 1)))
	w.line = w.ana.Root.Line(custodytest.EmergencySet)
	w.net = w.network(t, w.org.Writer)
	var holders []escrow.Holder
	for _, a := range w.authorities {
		holders = append(holders, escrow.Holder{ID: a.ID, Box: a.Box.Public()})
		w.lenders[a.ID] = w.authority(t, a, w.org.ID)
	}
	seed := grant.Seed{Line: w.line, Category: custodytest.EmergencySet, Level: 1, Epoch: 1, Seed: w.ana.Root.SegmentSeed(custodytest.EmergencySet, 1)}
	var err error
	w.set, err = escrow.Make(set, w.ana.ID, escrow.Emergency(holders, 1, w.line), key.NewSecret(), escrow.Payload{Seeds: []grant.Seed{seed}})
	if err != nil {
		t.Fatal(err)
	}
	event := w.ana.Event(w.set)
	w.Publish(t, event)
	w.setID = abaton.GrantID(actor.HashOf(event.Event))
	w.write(t)
	for _, k := range w.Keepers {
		k.Ahead(custodytest.Wait)
	}
	return w
}

func (w *night) network(t *testing.T, asker *key.Signing) *client.Network {
	t.Helper()
	keepers := make(map[abaton.KeeperIndex]client.Keeper)
	for x, k := range w.Keepers {
		keepers[x] = k
	}
	n, err := client.New(client.Config{Set: w.Set, Keepers: keepers, Asker: asker,
		Now: func() time.Time { return time.Now().Add(custodytest.Wait) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// authority serves over TLS, as the daemon does.
func (w *night) authority(t *testing.T, a *custodytest.Person, serves ...abaton.ActorID) *emergency.Authority {
	t.Helper()
	authority, err := emergency.NewAuthority(emergency.Config{Network: w.network(t, a.Manage), Actor: a.ID, Box: a.Box,
		Organisations: serves, Now: func() time.Time { return time.Now().Add(custodytest.Wait) }})
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

// write puts one record into the emergency set, with the public key alone.
func (w *night) write(t *testing.T) {
	t.Helper()
	g := w.ana.Grant(w.org.ID, grant.Deposit, 100)
	g.Lines = []abaton.Line{w.line}
	w.Publish(t, w.ana.Event(&actor.Granted{Grant: g.Marshal()}))
	box, err := client.OpenOutbox(t.TempDir(), key.Secret{1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	wr, err := w.net.NewWriter(client.WriterConfig{Outbox: box, Writer: w.org.Writer, Author: seal.Author{Actor: w.org.ID, Key: w.org.Writer}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := wr.Put(t.Context(), client.Transaction{Writes: []client.Write{{Patient: w.ana.ID, Line: w.line, Record: seal.Record{
		Envelope: seal.Envelope{Kind: seal.KindResource, Type: "AllergyIntolerance", ID: "a", VersionID: "1", LastUpdated: 1},
		Content:  []byte(`{"resourceType":"AllergyIntolerance","id":"a"}`),
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	_ = got
}

// signsIn is a person's reader and the session it holds.
func (w *night) signsIn(t *testing.T, p *custodytest.Person) (*client.Reader, *custodytest.Session) {
	t.Helper()
	s := w.SignInAt(t, p, time.Now().Add(custodytest.Wait))
	r, err := w.net.NewReader(client.Login{Signed: s.Signed, Key: s.Key, Reply: s.Reply})
	if err != nil {
		t.Fatal(err)
	}
	return r, s
}

func (w *night) opening(t *testing.T, s *custodytest.Session) emergency.Opening {
	t.Helper()
	var signed session.SignedEmergency
	touch := custodytest.Touch(t, w.ben, s, w.ana.ID, w.setID, time.Now().Add(custodytest.Wait), nil)
	if err := wire.Unmarshal(touch, &signed); err != nil {
		t.Fatal(err)
	}
	return emergency.Opening{Patient: w.ana.ID, Escrow: w.setID, Signed: s.Signed, Statement: &signed}
}

// TestNight: two keepers and one authority are down; the doctor reads the set
// within three seconds, and a colleague confirms.
func TestNight(t *testing.T) {
	w := newNight(t)
	w.Keepers[2].Down(true)
	w.Keepers[5].Down(true)
	w.lenders[w.authorities[0].ID] = silent{}
	r, s := w.signsIn(t, w.ben)
	began := time.Now()
	opened, err := emergency.Open(t.Context(), w.net, r, w.opening(t, s), w.lenders)
	if err != nil {
		t.Fatal(err)
	}
	chart, err := r.Chart(t.Context(), emergency.Opening{Patient: w.ana.ID, Escrow: w.setID}.Ask(opened.Lines...))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the set on screen after %v with two keepers and one authority down", time.Since(began).Round(time.Millisecond))
	if len(chart.Records) != 1 || len(chart.Missing) != 0 {
		t.Errorf("read the set: got %d records and %d missing, want 1 and none", len(chart.Records), len(chart.Missing))
	}
	for _, c := range []struct {
		name string
		by   *custodytest.Person
		want int
	}{{"the organisation", w.org, 1}, {"another organisation", w.authorities[0], 0}} {
		got, err := w.network(t, c.by.Manage).Openings(t.Context(), w.ben.ID)
		if err != nil || len(got) != c.want {
			t.Errorf("%s: got %d openings by the doctor, %v; want %d", c.name, len(got), err, c.want)
		}
		if c.want == 1 && (len(got[0].Keepers) != 3 || got[0].Request != opened.Request) {
			t.Errorf("%s: got an opening that %d keepers tell, want the one, from three", c.name, len(got[0].Keepers))
		}
	}
	second, es := w.signsIn(t, w.eve)
	var approval session.SignedApproval
	data := custodytest.Agree(t, w.eve, es, w.ana.ID, w.setID, w.ben.ID, time.Now().Add(custodytest.Wait), func(p *session.Approval) { p.Opening = opened.Request })
	if err := wire.Unmarshal(data, &approval); err != nil {
		t.Fatal(err)
	}
	a := emergency.Opening{Patient: w.ana.ID, Escrow: w.setID}.Ask()
	a.Approval = &approval
	if err := second.Confirm(t.Context(), a); err != nil {
		t.Errorf("confirm: got %v, want taken", err)
	}
}

// silent is an authority that does not answer before the other one has.
type silent struct{}

func (silent) Lend(ctx context.Context, _ []byte) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// recorder keeps what a reader shows an authority.
type recorder struct {
	to   emergency.Lender
	body []byte
}

func (r *recorder) Lend(ctx context.Context, body []byte) ([]byte, error) {
	r.body = body
	return r.to.Lend(ctx, body)
}

// question is the form of what a reader shows (PROTOCOL.md#lend).
type question struct {
	V        uint64   `cbor:"1,keyasint"`
	Signed   []byte   `cbor:"2,keyasint"`
	Request  []byte   `cbor:"3,keyasint"`
	Released [][]byte `cbor:"4,keyasint"`
}

// TestAuthorityAsks: an authority lends nothing without three keepers' words
// about this very request, or to whom the key logs do not let.
func TestAuthorityAsks(t *testing.T) {
	w := newNight(t)
	honest := w.authority(t, w.authorities[0], w.org.ID)
	seen := &recorder{to: honest}
	r, s := w.signsIn(t, w.ben)
	if _, err := emergency.Open(t.Context(), w.net, r, w.opening(t, s), map[abaton.ActorID]emergency.Lender{w.authorities[0].ID: seen}); err != nil {
		t.Fatal(err)
	}
	var good question
	if err := wire.Unmarshal(seen.body, &good); err != nil {
		t.Fatal(err)
	}
	_, again := w.signsIn(t, w.ben)
	for name, c := range map[string]struct {
		change func(*question)
		by     *emergency.Authority
		want   abaton.Reason
	}{
		"as it was":                            {func(*question) {}, honest, ""},
		"version":                              {func(q *question) { q.V = 2 }, honest, abaton.ReasonMalformed},
		"two keepers' words":                   {func(q *question) { q.Released = q.Released[:2] }, honest, abaton.ReasonCertificate},
		"one keeper's word thrice":             {func(q *question) { q.Released = [][]byte{q.Released[0], q.Released[0], q.Released[0]} }, honest, abaton.ReasonCertificate},
		"no words":                             {func(q *question) { q.Released = nil }, honest, abaton.ReasonCertificate},
		"a forged word":                        {func(q *question) { q.Released = append([][]byte{w.forged(t, q)}, q.Released[:2]...) }, honest, abaton.ReasonSignature},
		"another session":                      {func(q *question) { q.Signed = again.Signed }, honest, abaton.ReasonNoSession},
		"another request":                      {func(q *question) { q.Request = w.opensOther(t, s) }, honest, abaton.ReasonCertificate},
		"of an organisation it does not serve": {func(*question) {}, w.authority(t, w.authorities[0], w.authorities[1].ID), abaton.ReasonStanding},
		"by an authority of no organisation":   {func(*question) {}, w.authority(t, w.authorities[0]), abaton.ReasonStanding},
		"by one that holds no half":            {func(*question) {}, w.authority(t, w.eve, w.org.ID), abaton.ReasonGrant},
	} {
		q := good
		c.change(&q)
		_, err := c.by.Lend(t.Context(), wire.Marshal(q))
		if got := reasonOf(err); got != c.want || c.want == "" && err != nil {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	// What the key logs say now counts.
	w.Publish(t, w.org.Event(&actor.Bar{Actor: w.ben.Device.ID}))
	if _, err := honest.Lend(t.Context(), seen.body); reasonOf(err) != abaton.ReasonDevice {
		t.Errorf("from a lost device: got %v, want %q", err, abaton.ReasonDevice)
	}
}

// forged is a word about the request that no keeper of the set signed.
func (w *night) forged(t *testing.T, q *question) []byte {
	t.Helper()
	var signed wire.Signed
	if err := wire.Unmarshal(q.Released[2], &signed); err != nil {
		t.Fatal(err)
	}
	return wire.Marshal(key.NewSigning().Seal(wire.Released, signed.Body))
}

// opensOther is another request of the same session, about which no keeper
// has said anything.
func (w *night) opensOther(t *testing.T, s *custodytest.Session) []byte {
	t.Helper()
	q := session.Request{V: wire.Version, Session: s.ID, Patient: w.ana.ID, Grant: w.setID, Mode: session.Unseal, Purpose: abaton.Emergency,
		Time: time.Now().Add(custodytest.Wait).Unix(), Emergency: w.opening(t, s).Statement.Marshal()}
	rand.Read(q.Nonce[:])
	return q.Sign(s.Key)
}

// TestStolenAuthority: whoever has an authority's key has half A of every set,
// and opens none of them: neither with it, nor with what two keepers store.
func TestStolenAuthority(t *testing.T) {
	w := newNight(t)
	half, err := w.set.OpenWrap(w.ana.ID, w.set.Wraps[0], w.authorities[0].Box)
	if err != nil {
		t.Fatal(err)
	}
	var share [32]byte
	for _, b := range []key.Secret{{}, half, share} {
		if _, err := escrow.Open(w.ana.ID, w.set, half, b); err == nil {
			t.Error("opened with an authority's half alone")
		}
	}
	// As a reader, the thief has no passkey that keepers let in.
	thief := *w.ben
	if thief.Passkey, err = key.NewPasskey(custodytest.RelyingParty); err != nil {
		t.Fatal(err)
	}
	r, s := w.signsIn(t, &thief)
	if _, err := emergency.Open(t.Context(), w.net, r, w.opening(t, s), w.lenders); err == nil {
		t.Error("opened by a stranger's passkey")
	}
}

// TestRemote: the same over HTTP.
func TestRemote(t *testing.T) {
	w := newNight(t)
	table, err := w.authority(t, w.authorities[0], w.org.ID).Table()
	if err != nil {
		t.Fatal(err)
	}
	scalar := [32]byte(key.NewSecret())
	cert, pin, err := keeper.NewCertificate(scalar[:])
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(keeper.NewHandler(table, nil, nil, nil))
	server.TLS = keeper.TLSConfig(cert)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	remote, err := keeper.Dial(server.URL, pin)
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	r, s := w.signsIn(t, w.ben)
	lenders := map[abaton.ActorID]emergency.Lender{w.authorities[0].ID: emergency.Remote{To: remote}}
	if _, err := emergency.Open(t.Context(), w.net, r, w.opening(t, s), lenders); err != nil {
		t.Errorf("over HTTP: got %v, want opened", err)
	}
}

// FuzzLend: whatever somebody shows an authority, it refuses and does not fall.
func FuzzLend(f *testing.F) {
	f.Add(wire.Marshal(question{V: 1, Signed: []byte{1}, Request: []byte{2}, Released: [][]byte{{3}}}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := emergency.NewAuthority(emergency.Config{Network: new(client.Network), Actor: abaton.ActorID{1}, Box: new(key.Box)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Lend(context.Background(), data); err == nil {
			t.Error("lent to nobody")
		}
	})
}

func reasonOf(err error) abaton.Reason {
	if e, ok := errors.AsType[*abaton.RefusedError](err); ok {
		return e.Reason
	}
	return ""
}

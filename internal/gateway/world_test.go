package gateway

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/internal/smart"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// world is five real keepers, an organisation with its gateway, and people
// with their devices.
type world struct {
	t       *testing.T
	keepers *custodytest.Network
	net     *client.Network // the devices' own
	org     *device
	gateway *Gateway
	web     *httptest.Server
	clock   *clock
	logged  *syncBuffer
	apps    atomic.Pointer[smart.Registry]
	config  Config
	stepUp  abaton.Category // of patients made from now on: this line is of level 3
}

// device is what one actor's device holds.
type device struct {
	id      abaton.ActorID
	kind    actor.Kind
	signing *key.Signing
	writer  *key.Signing // of the organisation's gateway
	box     *key.Box
	passkey *key.Passkey
	root    key.Root
	org     abaton.ActorID
	stepUp  abaton.Category
	role    string
	at      *device // where a clinician sits
}

// clock is the gateway's, which tests move.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorlds(t, 1)[0]
}

// newWorlds are several organisations, each with its gateway, at the same
// keepers.
func newWorlds(t *testing.T, count int) (all []*world) {
	t.Helper()
	set, identities := custodytest.NewSet(t, 5)
	var events [][]byte
	var admitted []abaton.ActorID
	for range count {
		w := &world{t: t, clock: &clock{}, logged: &syncBuffer{}}
		w.org = w.device(actor.Organisation)
		w.org.writer = key.NewSigning()
		in := w.inception(w.org, set.ID())
		in.Keys = append(in.Keys, actor.Key{ID: w.org.writer.ID(), Rights: actor.Write})
		in.Approvals, in.Keys[0].Rights = 1, actor.Manage|actor.Attest
		in.Lines = []actor.Epoch{w.org.epoch(login.DirectoryCategory()), w.org.epoch(login.QuarantineCategory())}
		events = append(events, w.org.sign(in))
		all, admitted = append(all, w), append(admitted, w.org.id)
	}
	network := custodytest.Start(t, set, identities, admitted...)
	for i, w := range all {
		w.keepers = network
		w.open(set, events[i])
	}
	return all
}

// open makes the organisation known and starts its gateway.
func (w *world) open(set *actor.Set, event []byte) {
	t := w.t
	t.Helper()
	keepers := make(map[abaton.KeeperIndex]client.Keeper)
	for x, k := range w.keepers.Keepers {
		keepers[x] = k
	}
	var err error
	if w.net, err = client.New(client.Config{Set: set, Keepers: keepers, Asker: w.org.signing}); err != nil {
		t.Fatalf("new network: %v", err)
	}
	t.Cleanup(w.net.Close)
	w.publish(event)
	w.web = httptest.NewUnstartedServer(nil)
	w.config = Config{URL: "http://" + w.web.Listener.Addr().String(), Apps: w.apps.Load, Set: set, Keepers: keepers, Org: w.org.id, Writer: w.org.writer, OrgBox: w.org.box,
		Outbox: t.TempDir(), OutboxKey: key.NewSecret(), IDKey: key.NewSecret(), Release: "test", Now: w.clock.now,
		Wraps: t.TempDir(), Uploads: t.TempDir(), Relations: t.TempDir(), ObjectBytesMax: 24 << 20, Log: slog.New(slog.NewTextHandler(w.logged, nil))}
	if w.gateway, err = New(w.config); err != nil {
		t.Fatalf("new gateway: %v", err)
	}
	t.Cleanup(func() { w.gateway.Close() })
	w.web.Config.Handler = w.gateway
	w.web.Start()
	t.Cleanup(w.web.Close)
}

func (w *world) device(kind actor.Kind) *device {
	w.t.Helper()
	passkey, err := key.NewPasskey(custodytest.RelyingParty)
	if err != nil {
		w.t.Fatalf("make passkey: %v", err)
	}
	d := &device{kind: kind, stepUp: w.stepUp, signing: key.NewSigning(), box: key.NewBox(), passkey: passkey, root: key.NewRoot(key.NewSecret())}
	if kind != actor.Organisation {
		d.org = w.org.id
	}
	return d
}

func (w *world) inception(d *device, set abaton.ActorID) *actor.Inception {
	in := &actor.Inception{Kind: d.kind, Set: set, Box: d.box.Public().Bytes(), Organisation: d.org,
		Keys:        []actor.Key{{ID: d.signing.ID(), Rights: actor.Manage}},
		Credentials: []actor.Credential{{Public: d.passkey.Public(), Class: actor.Bound}}}
	rand.Read(in.Nonce[:])
	if d.kind != actor.Organisation {
		v := actor.Invitation{Organisation: w.org.id, Kind: d.kind, Expires: time.Now().Add(time.Hour).Unix()}
		rand.Read(v.Nonce[:])
		in.Invitation = v.Sign(w.org.signing)
	}
	return in
}

func (d *device) level(c abaton.Category) uint8 {
	if c == d.stepUp {
		return actor.LevelMax
	}
	return 1
}

func (d *device) epoch(c abaton.Category) actor.Epoch {
	return actor.Epoch{Line: d.root.Line(c), Level: d.level(c), Epoch: 1, Segment: d.root.Segment(c, 1).Public().Bytes()}
}

func (d *device) sign(in *actor.Inception) []byte {
	event := actor.NewInception(time.Now().Unix(), in)
	d.id = actor.IDOf(event)
	return actor.Signed(event, actor.ByKey(d.signing, event)).Marshal()
}

func (w *world) publish(events ...[]byte) {
	w.t.Helper()
	out, err := w.net.Publish(w.t.Context(), events...)
	if err != nil {
		w.t.Fatalf("publish: %v", err)
	}
	for _, p := range out {
		if !p.InForce {
			w.t.Fatalf("published: got %d of %d, want in force", p.At, p.Of)
		}
	}
}

// at enrols the device that a clinician sits at.
func (w *world) at(d *device) {
	w.t.Helper()
	d.at = w.device(actor.Device)
	in := w.inception(d.at, w.keepers.Set.ID())
	in.Keys[0].Rights |= actor.DeviceRight
	w.publish(d.at.sign(in))
}

// steward answers for programs.
var steward = abaton.ActorID{0x57}

// enlist publishes somebody's first event and has the organisation take this
// one on.
func (w *world) enlist(d *device, role string, sponsor abaton.ActorID) {
	w.t.Helper()
	w.publish(d.sign(w.inception(d, w.keepers.Set.ID())))
	w.takeOn(d, role, sponsor)
}

// takeOn makes an actor that keepers know a member of the clinic.
func (w *world) takeOn(d *device, role string, sponsor abaton.ActorID) {
	w.t.Helper()
	d.role = role
	members := []*actor.Member{{Actor: d.id, Roles: []string{role}, Sponsor: sponsor}}
	if sponsor == steward {
		members = append(members, &actor.Member{Actor: steward, Roles: []string{abaton.RoleAdministrator}})
	}
	for _, m := range members {
		m.NotBefore, m.Expires = time.Now().Unix()-60, time.Now().Unix()+360_000
		if _, err := w.net.Append(w.t.Context(), client.KeyHand(w.org.id, w.org.signing), m); err != nil {
			w.t.Fatalf("take on: %v", err)
		}
	}
}

// clinician enrols one and lets it read the directory.
func (w *world) clinician() (*device, session.Bundle) {
	w.t.Helper()
	d := w.device(actor.Clinician)
	w.at(d)
	w.enlist(d, abaton.RolePhysician, abaton.ActorID{})
	return d, w.share(w.org, d, grant.Read, login.DirectoryCategory())
}

// patient enrols one with every line; the organisation deposits to all but
// the closed ones.
func (w *world) patient(closed ...fhir.Category) *device {
	w.t.Helper()
	d := w.device(actor.Patient)
	in := w.inception(d, w.keepers.Set.ID())
	in.Credentials = append(in.Credentials, custodytest.Spare(w.t))
	var open []abaton.Category
	for _, c := range fhir.Categories() {
		in.Lines = append(in.Lines, d.epoch(c.ID()))
		if !contains(closed, c) {
			open = append(open, c.ID())
		}
	}
	g, _ := d.grant(w.org.id, grant.Deposit, open...)
	g.Patient = abaton.ActorID{}
	_, seeds := d.grant(w.org.id, grant.Deposit, allCategories()...) // the wrap tells more than the grant covers
	for i := range seeds {
		seeds[i].Seed = key.Secret{}
	}
	wrap, err := grant.WrapSeeds(w.org.box.Public(), g.Marshal(), seeds)
	if err != nil {
		w.t.Fatalf("wrap: %v", err)
	}
	in.Grants = []actor.Granted{{Grant: g.Marshal(), Wrap: wrap}}
	w.publish(d.sign(in))
	return d
}

func contains(list []fhir.Category, c fhir.Category) bool {
	for _, o := range list {
		if o == c {
			return true
		}
	}
	return false
}

func (d *device) grant(to abaton.ActorID, actions grant.Action, categories ...abaton.Category) (grant.Grant, []grant.Seed) {
	now := time.Now().Unix()
	g := grant.Grant{V: wire.Version, Patient: d.id, Grantee: to, Actions: actions, NotBefore: now - 60, Expires: now + 36_000,
		Quota: 1 << 24, Purposes: []abaton.Purpose{abaton.Treatment, abaton.Operations}}
	var seeds []grant.Seed
	for _, c := range categories {
		g.Lines = append(g.Lines, d.root.Line(c))
		seeds = append(seeds, grant.Seed{Line: d.root.Line(c), Category: c, Level: d.level(c), Epoch: 1, Seed: d.root.SegmentSeed(c, 1)})
	}
	rand.Read(g.Nonce[:])
	g.Sort()
	return g, seeds
}

func (w *world) share(from, to *device, actions grant.Action, categories ...abaton.Category) session.Bundle {
	w.t.Helper()
	g, seeds := from.grant(to.id, actions, categories...)
	id, p, err := w.net.Share(w.t.Context(), client.KeyHand(from.id, from.signing), g, seeds)
	if err != nil || !p.InForce {
		w.t.Fatalf("share: in force %v, %v", p.InForce, err)
	}
	return session.Bundle{Patient: from.id, Grant: id, Seeds: seeds}
}

// allCategories are every category as lines have them.
func allCategories() (out []abaton.Category) {
	for _, c := range fhir.Categories() {
		out = append(out, c.ID())
	}
	return out
}

// caller is somebody with an access value.
type caller struct {
	w      *world
	access string
	offer  login.Offer
	done   *login.Completion
	header map[string]string
}

// signIn is the whole sign-in of a device.
func (w *world) signIn(d *device, bundles ...session.Bundle) *caller {
	w.t.Helper()
	c := &caller{w: w}
	c.want(http.StatusOK, "POST", "/login/offer", "{}", &c.offer)
	c.done = w.completion(c.offer, d, bundles...)
	var access login.Access
	body, err := json.Marshal(c.done)
	if err != nil {
		w.t.Fatal(err)
	}
	c.want(http.StatusOK, "POST", "/login/complete", string(body), &access)
	if access.Access == "" || access.Actor != d.id.String() {
		w.t.Fatalf("access: got actor %s, want %s and a value", access.Actor, d.id)
	}
	c.access = access.Access
	return c
}

func (w *world) completion(o login.Offer, d *device, bundles ...session.Bundle) *login.Completion {
	w.t.Helper()
	return w.completionFor(o, d, 0, bundles...)
}

func (w *world) completionFor(o login.Offer, d *device, life time.Duration, bundles ...session.Bundle) *login.Completion {
	w.t.Helper()
	who := login.Device{Actor: d.id, Gateway: w.org.id, Set: w.keepers.Set.ID(), Passkey: d.passkey, Life: life}
	if d.kind != actor.Patient {
		who.Organisation, who.Role = w.org.id, d.role
	}
	if d.at != nil {
		now := w.clock.now().Unix()
		who.At = &login.At{Device: d.at.id, Key: d.at.signing, Posture: actor.Posture{Organisation: w.org.id, Device: d.at.id,
			Level: actor.Managed, From: now - 60, Until: now + 7200}.Sign(w.org.signing)}
	}
	done, err := login.Answer(o, who, bundles, w.clock.now())
	if err != nil {
		w.t.Fatalf("answer offer: %v", err)
	}
	return done
}

// with is the caller with one more header.
func (c *caller) with(name, value string) *caller {
	next := *c
	next.header = map[string]string{name: value}
	for n, v := range c.header {
		if n != name {
			next.header[n] = v
		}
	}
	return &next
}

func (c *caller) do(method, path, body string) *http.Response {
	c.w.t.Helper()
	r, err := http.NewRequestWithContext(c.w.t.Context(), method, c.w.web.URL+path, strings.NewReader(body))
	if err != nil {
		c.w.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/fhir+json")
		if strings.HasPrefix(path, "/login") || strings.HasPrefix(path, "/portal") || strings.HasPrefix(path, "/apps") {
			r.Header.Set("Content-Type", "application/json")
		}
	}
	if c.access != "" {
		r.Header.Set("Authorization", "Bearer "+c.access)
	}
	for n, v := range c.header {
		r.Header.Set(n, v)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.w.t.Fatal(err)
	}
	return resp
}

// want sends a request and holds the answer to a status; into, if not nil,
// takes its JSON.
func (c *caller) want(status int, method, path, body string, into any) (*http.Response, []byte) {
	c.w.t.Helper()
	resp := c.do(method, path, body)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		c.w.t.Fatal(err)
	}
	if resp.StatusCode != status {
		c.w.t.Fatalf("%s %s: got %d %s, want %d\nlog: %s", method, path, resp.StatusCode, clip(got), status, c.w.logged)
	}
	if resp.Header.Get("Cache-Control") != "no-store" {
		c.w.t.Errorf("%s %s: got Cache-Control %q, want no-store", method, path, resp.Header.Get("Cache-Control"))
	}
	if status >= 400 && method != http.MethodHead && (!bytes.Contains(got, []byte("OperationOutcome")) || !bytes.Contains(got, []byte("diagnostics")) || !bytes.Contains(got, []byte(fhir.SystemOutcome))) {
		c.w.t.Errorf("%s %s: got %s, want an OperationOutcome that says what to do", method, path, clip(got))
	}
	if into != nil {
		if err := json.Unmarshal(got, into); err != nil {
			c.w.t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	return resp, got
}

func clip(b []byte) string {
	if len(b) > 600 {
		b = b[:600]
	}
	return string(b)
}

// sample is a Bundle of the committed sample patients.
func sample(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open("../../testdata/patients/" + name + ".json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := gunzipped(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func gunzipped(r io.Reader) ([]byte, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// pages follows next links and returns all entries' resources.
func (c *caller) pages(path string) (resources [][]byte) {
	c.w.t.Helper()
	for path != "" {
		var b struct {
			Link  []struct{ Relation, URL string }
			Entry []struct{ Resource json.RawMessage }
		}
		c.want(http.StatusOK, "GET", path, "", &b)
		for _, e := range b.Entry {
			resources = append(resources, e.Resource)
		}
		path = ""
		for _, l := range b.Link {
			if l.Relation == "next" {
				path = strings.TrimPrefix(l.URL, c.w.web.URL)
			}
		}
	}
	return resources
}

func directoryCategory() abaton.Category { return login.DirectoryCategory() }

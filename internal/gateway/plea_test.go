package gateway

import (
	"encoding/hex"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// enrolled is a patient as the pages make one, with a log in force.
func (w *world) enrolled(t *testing.T) *browser {
	t.Helper()
	b := w.browserOf()
	(&caller{w: w}).want(http.StatusOK, "POST", "/portal/enrol", jsonText(t, b.enrolment(t)), nil)
	return b
}

// withHelpers is a patient and the three helpers she chose.
func withHelpers(t *testing.T) (w *world, ana *browser, helpers []*browser, id abaton.GrantID) {
	t.Helper()
	w = newWorld(t)
	ana = w.enrolled(t)
	var holders []escrow.Holder
	for range 3 {
		h := w.enrolled(t)
		helpers, holders = append(helpers, h), append(holders, escrow.Holder{ID: h.id, Box: h.box.Public()})
	}
	body, err := escrow.Make(w.keepers.Set, ana.id, escrow.Trustees(holders, 2, w.keepers.Set.RecoveryWait()), key.NewSecret(), escrow.Payload{Root: ana.secret})
	if err != nil {
		t.Fatal(err)
	}
	published, err := w.net.Append(t.Context(), client.PasskeyHand(ana.id, ana.passkey), body)
	if err != nil {
		t.Fatal(err)
	}
	return w, ana, helpers, abaton.GrantID(published.Event)
}

// recoverOf is the event of a new device of hers, and its box.
func (w *world) recoverOf(t *testing.T, of abaton.ActorID, id abaton.GrantID, nonce byte) (event []byte, box *key.Box) {
	t.Helper()
	box = key.NewBox()
	event, err := w.net.Draft(t.Context(), of, &actor.Recover{Escrow: id, Box: box.Public().Bytes(), Nonce: [16]byte{nonce},
		Credential: actor.Credential{Public: w.device(actor.Patient).passkey.Public(), Class: actor.Bound}})
	if err != nil {
		t.Fatal(err)
	}
	return event, box
}

func (b *browser) help(t *testing.T, event []byte, part []byte) helpSent {
	t.Helper()
	a, err := b.passkey.Assert(actor.HashOf(event))
	if err != nil {
		t.Fatal(err)
	}
	id := actor.HashOf(event)
	return helpSent{Plea: hex.EncodeToString(id[:]), helpSeen: helpSeen{Trustee: b.id.String(), Proof: login.Encode(wire.Marshal(a)), Part: login.Encode(part)}}
}

// TestPleaCarriesWhatHelpersGive: what is asked and answered goes through the
// gateway, which takes answers of that record's own helpers only, each once.
func TestPleaCarriesWhatHelpersGive(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w, ana, helpers, id := withHelpers(t)
	open := &caller{w: w}
	var way waySeen
	open.want(http.StatusOK, "GET", "/portal/way/"+ana.id.String(), "", &way)
	if len(way.Trustees) != 1 || way.Trustees[0].ID != id.String() || len(way.Recoveries) != 0 {
		t.Fatalf("way: got %d escrows of helpers and %d recoveries, want 1 and 0", len(way.Trustees), len(way.Recoveries))
	}
	event, box := w.recoverOf(t, ana.id, id, 1)
	var asked struct{ Plea string }
	open.want(http.StatusOK, "POST", "/portal/plea", jsonText(t, pleaSent{Event: login.Encode(event)}), &asked)
	open.want(http.StatusOK, "POST", "/portal/plea", jsonText(t, pleaSent{Event: login.Encode(event)}), &asked) // a lost answer

	var body actor.Recover
	var e actor.Event
	if wire.Unmarshal(event, &e) != nil || wire.Unmarshal(e.Body, &body) != nil {
		t.Fatal("the event does not read")
	}
	held, _ := mustLog(t, w, ana.id).Escrow(id)
	for i, h := range helpers[:2] {
		part, err := escrow.Help(ana.id, held, h.id, h.box, actor.HashOf(event), &body)
		if err != nil {
			t.Fatal(err)
		}
		open.want(http.StatusNoContent, "POST", "/portal/help", jsonText(t, h.help(t, event, part.Marshal())), nil)
		if i == 0 {
			open.want(http.StatusConflict, "POST", "/portal/help", jsonText(t, h.help(t, event, []byte{1})), nil)
		}
	}
	foreign := w.enrolled(t).help(t, event, []byte{1})
	open.want(http.StatusForbidden, "POST", "/portal/help", jsonText(t, foreign), nil)
	foreign.Trustee = helpers[2].id.String() // a helper's name, another's passkey
	open.want(http.StatusForbidden, "POST", "/portal/help", jsonText(t, foreign), nil)
	other, _ := w.recoverOf(t, ana.id, id, 2)
	moved := helpers[2].help(t, other, []byte{1}) // a proof of another event
	moved.Plea = asked.Plea
	open.want(http.StatusForbidden, "POST", "/portal/help", jsonText(t, moved), nil)
	unknown := helpers[2].help(t, other, []byte{1})
	open.want(http.StatusNotFound, "POST", "/portal/help", jsonText(t, unknown), nil)
	open.want(http.StatusForbidden, "POST", "/portal/help", jsonText(t, helpers[2].help(t, event, nil)), nil)

	var seen pleaSeen
	open.want(http.StatusOK, "GET", "/portal/plea/"+asked.Plea, "", &seen)
	if len(seen.Helps) != 2 || seen.Event != login.Encode(event) {
		t.Fatalf("plea: got %d answers, want 2", len(seen.Helps))
	}
	var parts []escrow.Part
	var proofs []actor.Proof
	for _, h := range seen.Helps {
		data, err := login.Decode(h.Part)
		if err != nil {
			t.Fatal(err)
		}
		part, err := escrow.ParsePart(data)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := login.Decode(h.Proof)
		if err != nil {
			t.Fatal(err)
		}
		parts, proofs = append(parts, part), append(proofs, actor.Proof{Tag: 2, Body: proof})
	}
	if _, liars, err := escrow.HalfOf(ana.id, held, actor.HashOf(event), box, parts); err != nil || len(liars) > 0 {
		t.Errorf("half A: got %d liars, %v, want it from two parts", len(liars), err)
	}
	open.want(http.StatusOK, "POST", "/portal/events", jsonText(t, relayed{Event: login.Encode(actor.Signed(event, proofs...).Marshal())}), nil)
	open.want(http.StatusOK, "GET", "/portal/way/"+ana.id.String(), "", &way)
	if len(way.Recoveries) != 1 || way.Recoveries[0].By != "helpers" || way.Recoveries[0].Event != asked.Plea || way.Recoveries[0].Stopped {
		t.Errorf("way: got %d recoveries, want the one that helpers proved", len(way.Recoveries))
	}
	var me meSeen
	w.signIn(ana.device).want(http.StatusOK, "GET", "/portal/me", "", &me)
	if !me.Trustees || len(me.Recoveries) != 1 {
		t.Errorf("me: got helpers %v and %d recoveries, want true and 1", me.Trustees, len(me.Recoveries))
	}
	for _, bad := range []string{"", "x", hex.EncodeToString(make([]byte, 32)), asked.Plea[:62] + "AB"} {
		open.want(http.StatusNotFound, "GET", "/portal/plea/"+bad, "", nil)
	}

	// Another process of the same gateway knows it still; a damaged file is not read.
	again := &Gateway{clock: time.Now}
	if err := again.openPleas(Config{Wraps: w.gateway.wraps.dir}); err != nil {
		t.Fatal(err)
	}
	if p, err := again.pleas.get(actor.HashOf(event)); err != nil || len(p.Helps) != 2 {
		t.Errorf("after a restart: got %v, want both answers", err)
	}
	for name, damaged := range map[string][]byte{"no plea": {1}, "another's": wire.Marshal(plea{V: wire.Version, Event: other})} {
		if err := os.WriteFile(again.pleas.path(actor.HashOf(event)), damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := again.pleas.get(actor.HashOf(event)); !errors.Is(err, errPleas) {
			t.Errorf("a damaged file, %s: got %v, want errPleas", name, err)
		}
	}
}

// TestPleaRefuses what is not asked of the helpers of a patient here.
func TestPleaRefuses(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w, ana, helpers, id := withHelpers(t)
	open := &caller{w: w}
	event, _ := w.recoverOf(t, ana.id, id, 1)
	unknown, _ := w.recoverOf(t, ana.id, abaton.GrantID{9}, 1)
	foreign, _ := w.recoverOf(t, helpers[0].id, id, 1) // names an escrow of another log
	for name, bad := range map[string]string{
		"not base64url": "*", "nothing": "", "another kind": login.Encode(wire.Marshal(actor.Event{V: wire.Version, Actor: ana.id, Seq: 2, Kind: actor.EventVeto})), "cut": login.Encode(event[:len(event)-1]),
		"too long": login.Encode(append(event, make([]byte, pleaBytesMax)...)), "no such escrow": login.Encode(unknown), "of another log": login.Encode(foreign),
	} {
		if resp, _ := open.want(http.StatusBadRequest, "POST", "/portal/plea", jsonText(t, pleaSent{Event: bad}), nil); resp == nil {
			t.Errorf("%s: got it kept, want it refused", name)
		}
	}
	if _, err := w.net.Revoke(t.Context(), client.PasskeyHand(ana.id, ana.passkey), id, false); err != nil {
		t.Fatal(err)
	}
	open.want(http.StatusBadRequest, "POST", "/portal/plea", jsonText(t, pleaSent{Event: login.Encode(event)}), nil) // ended
}

// TestHelperIsWhoTheNameSays: what is handed out has the name for its hash.
func TestHelperIsWhoTheNameSays(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	doctor, _ := w.clinician()
	b := w.enrolled(t)
	open := &caller{w: w}
	var out struct{ Event string }
	open.want(http.StatusOK, "GET", "/portal/helper/"+b.id.String(), "", &out)
	event, err := login.Decode(out.Event)
	if err != nil || actor.IDOf(event) != b.id {
		t.Errorf("origin: got another event, want the one that %v's name stands for", b.id)
	}
	for _, id := range []string{doctor.id.String(), w.org.id.String(), "act1"} {
		open.want(http.StatusNotFound, "GET", "/portal/helper/"+id, "", nil)
	}
}

// TestPleasKeepWhatHelpersAnswered: who floods pushes out nothing that a helper
// stands behind, and nothing grows without end.
func TestPleasKeepWhatHelpersAnswered(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	g := &Gateway{clock: func() time.Time { return now }}
	if err := g.openPleas(Config{Wraps: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	of := func(who byte, n int64) []byte {
		return wire.Marshal(actor.Event{V: wire.Version, Actor: abaton.ActorID{who}, Seq: 1, Prev: []actor.Hash{{1}}, Kind: actor.EventRecover, Time: n, Body: []byte{1}})
	}
	put := func(event []byte, want bool) {
		t.Helper()
		var e actor.Event
		if err := wire.Unmarshal(event, &e); err != nil {
			t.Fatal(err)
		}
		if ok, err := g.pleas.put(e.Actor, event); err != nil || ok != want {
			t.Fatalf("put: got %v, %v, want %v", ok, err, want)
		}
	}
	for n := range int64(pleasOfOneMax) {
		put(of(1, n), true)
		if n < pleasOfOneMax-1 { // all but one are answered
			if ok, err := g.pleas.answer(actor.HashOf(of(1, n)), help{Trustee: abaton.ActorID{2}}); !ok || err != nil {
				t.Fatal(err)
			}
		}
	}
	for n := range int64(20) {
		put(of(1, 100+n), true)
	}
	if len(g.pleas.all) != pleasOfOneMax || g.pleas.all[actor.HashOf(of(1, 0))] == nil || g.pleas.all[actor.HashOf(of(1, pleasOfOneMax-1))] != nil {
		t.Errorf("a flood: got %d kept, want %d, the answered ones among them", len(g.pleas.all), pleasOfOneMax)
	}
	if ok, err := g.pleas.answer(actor.HashOf(of(1, 119)), help{Trustee: abaton.ActorID{2}}); !ok || err != nil {
		t.Fatal(err)
	}
	put(of(1, 200), false) // all answered: no room, for this record
	put(of(2, 200), true)
	now = now.Add(pleaLife + time.Hour)
	put(of(1, 300), true)
	files, err := filepath.Glob(filepath.Join(g.pleas.dir, "*"))
	if err != nil || len(files) != 1 || len(g.pleas.all) != 1 {
		t.Errorf("after %v: got %d files, want the new one alone", pleaLife, len(files))
	}
}

// FuzzReadRecover: what is kept for helpers has one form, and names a box and a
// passkey.
func FuzzReadRecover(f *testing.F) {
	f.Add([]byte{})
	f.Add(wire.Marshal(actor.Event{V: wire.Version, Actor: abaton.ActorID{1}, Seq: 1, Prev: []actor.Hash{{1}}, Kind: actor.EventRecover,
		Body: wire.Marshal(actor.Recover{Escrow: abaton.GrantID{1}, Box: key.NewBox().Public().Bytes()})}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, b := readRecover(data); b != nil && (!b.Credential.Public.Valid() || len(b.Box) != key.BoxPublicBytes) {
			t.Error("got an event without passkey or box, want it refused")
		}
	})
}

package gateway

import (
	"encoding/hex"
	"net/http"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/key"
)

// printed gives a log that just began its kit, as the page does.
func (b *browser) printed(t *testing.T, w *world, inception []byte) escrow.Code {
	t.Helper()
	signed, err := actor.ParseSigned(inception)
	if err != nil {
		t.Fatal(err)
	}
	code := escrow.NewCode()
	body, err := escrow.Make(w.keepers.Set, b.id, escrow.Kit(b.id, code, w.keepers.Set.RecoveryWait()), code.Half(b.id), escrow.Payload{Root: b.secret})
	if err != nil {
		t.Fatal(err)
	}
	event := actor.New(b.id, 1, []actor.Hash{actor.HashOf(signed.Event)}, time.Now().Unix(), body)
	var out struct{ InForce bool }
	(&caller{w: w}).want(http.StatusOK, "POST", "/portal/events", jsonText(t, relayed{Event: login.Encode(b.proved(t, event))}), &out)
	if !out.InForce {
		t.Fatal("kit: got not in force, want in force")
	}
	return code
}

// TestReturnIsTheKeepersToGive: the gateway tells where a log's kits stand and
// relays a recovery; who may come in, when, and who gets half B is not its to say.
func TestReturnIsTheKeepersToGive(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	doctor, _ := w.clinician()
	b := w.browserOf()
	in := b.enrolment(t)
	open := &caller{w: w}
	open.want(http.StatusOK, "POST", "/portal/enrol", jsonText(t, in), nil)
	inception, err := login.Decode(in.Event)
	if err != nil {
		t.Fatal(err)
	}
	code := b.printed(t, w, inception)

	var way waySeen
	open.want(http.StatusOK, "GET", "/portal/way/"+b.id.String(), "", &way)
	if len(way.Kits) != 1 || way.Seq != 1 {
		t.Fatalf("way: got %d kits after event %d, want 1 and 1", len(way.Kits), way.Seq)
	}
	for _, id := range []string{doctor.id.String(), w.org.id.String(), "act1"} {
		open.want(http.StatusNotFound, "GET", "/portal/way/"+id, "", nil)
	}

	// The code begins; the new passkey may not add itself before the wait is over.
	thief := w.device(actor.Patient)
	credential := actor.Credential{Public: thief.passkey.Public(), Class: actor.Bound}
	head, err := hex.DecodeString(way.Head)
	if err != nil {
		t.Fatal(err)
	}
	kit, err := abaton.ParseGrantID(way.Kits[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	recover := actor.New(b.id, way.Seq+1, []actor.Hash{actor.Hash(head)}, time.Now().Unix(),
		&actor.Recover{Escrow: kit, Credential: credential, Box: key.NewBox().Public().Bytes(), Nonce: [16]byte{1}})
	open.want(http.StatusOK, "POST", "/portal/events", jsonText(t, relayed{
		Event: login.Encode(actor.Signed(recover, actor.ByKey(code.Prover(b.id), recover)).Marshal())}), nil)
	open.want(http.StatusOK, "GET", "/portal/way/"+b.id.String(), "", &way)
	if head, err = hex.DecodeString(way.Head); err != nil {
		t.Fatal(err)
	}
	add := actor.New(b.id, way.Seq+1, []actor.Hash{actor.Hash(head)}, time.Now().Unix(), &actor.CredentialAdd{Credential: credential})
	a, err := thief.passkey.Assert(actor.HashOf(add))
	if err != nil {
		t.Fatal(err)
	}
	open.want(http.StatusConflict, "POST", "/portal/events", jsonText(t, relayed{
		Event: login.Encode(actor.Signed(add, actor.ByPasskey(a)).Marshal())}), nil)

	// A passkey that did not come back under the kit gets no half of it.
	me := w.signIn(b.device)
	var seen meSeen
	me.want(http.StatusOK, "GET", "/portal/me", "", &seen)
	if seen.Ways != actor.WaysNeeded || !seen.Kit || len(seen.Passkeys) != 1 || len(seen.Keys) != 0 {
		t.Errorf("me: got %d ways, kit %v, %d passkeys, %d keys, want 2, true, 1, 0", seen.Ways, seen.Kit, len(seen.Passkeys), len(seen.Keys))
	}
	me.want(http.StatusNotFound, "POST", "/portal/unseal", jsonText(t, unsealed{Escrow: way.Kits[0].ID}), nil)
	me.want(http.StatusNotFound, "POST", "/portal/unseal", jsonText(t, unsealed{Escrow: "gra1"}), nil)

	// A wrap is kept for passkeys of the own log only, and never replaced.
	wrap := login.Encode(make([]byte, key.RootWrapBytes))
	own := rewrapped{CredentialID: login.Encode([]byte{1}), Public: login.Encode(b.passkey.Public()), Wrap: wrap}
	foreign := own
	foreign.Public = login.Encode(thief.passkey.Public())
	me.want(http.StatusBadRequest, "POST", "/portal/wrap", jsonText(t, foreign), nil)
	taken := own
	taken.CredentialID = in.CredentialID
	me.want(http.StatusConflict, "POST", "/portal/wrap", jsonText(t, taken), nil)
	short := own
	short.Wrap = login.Encode([]byte{1})
	me.want(http.StatusBadRequest, "POST", "/portal/wrap", jsonText(t, short), nil)
	me.want(http.StatusNoContent, "POST", "/portal/wrap", jsonText(t, own), nil)
}

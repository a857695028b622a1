package gateway

import (
	"net/http"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/key"
)

// TestDeviceOfAClinic: a browser becomes a computer of this organisation by an
// invitation that its managers signed, once; anything else is refused.
func TestDeviceOfAClinic(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	open := &caller{w: w}
	enrolled := func(change func(*actor.Inception)) (*device, string) {
		d := w.device(actor.Device)
		in := w.inception(d, w.keepers.Set.ID())
		in.Credentials = nil
		in.Keys = append(in.Keys, actor.Key{ID: key.NewSigning().ID(), Rights: actor.DeviceRight})
		if change != nil {
			change(in)
		}
		signed := d.sign(in)
		return d, jsonText(t, relayed{Event: login.Encode(signed)})
	}
	for _, tt := range []struct {
		name   string
		status int
		change func(*actor.Inception)
	}{
		{"a passkey", http.StatusBadRequest, func(in *actor.Inception) {
			in.Credentials = []actor.Credential{{Public: w.device(actor.Device).passkey.Public(), Class: actor.Bound}}
		}},
		{"one key", http.StatusBadRequest, func(in *actor.Inception) { in.Keys = in.Keys[:1] }},
		{"one key with both rights", http.StatusBadRequest, func(in *actor.Inception) { in.Keys[0].Rights |= actor.DeviceRight }},
		{"a key that writes", http.StatusBadRequest, func(in *actor.Inception) { in.Keys[1].Rights = actor.Write }},
		{"a clinician", http.StatusBadRequest, func(in *actor.Inception) {
			c := w.inception(w.device(actor.Clinician), w.keepers.Set.ID())
			in.Kind, in.Invitation = actor.Clinician, c.Invitation
		}},
		{"another keeper set", http.StatusBadRequest, func(in *actor.Inception) { in.Set = abaton.ActorID{9} }},
		{"another organisation", http.StatusBadRequest, func(in *actor.Inception) {
			v := actor.Invitation{Organisation: abaton.ActorID{8}, Kind: actor.Device, Nonce: [16]byte{8}, Expires: time.Now().Add(time.Hour).Unix()}
			in.Organisation, in.Invitation = v.Organisation, v.Sign(key.NewSigning())
		}},
		{"invited by a stranger", http.StatusForbidden, func(in *actor.Inception) {
			v := actor.Invitation{Organisation: w.org.id, Kind: actor.Device, Nonce: [16]byte{7}, Expires: time.Now().Add(time.Hour).Unix()}
			in.Invitation = v.Sign(key.NewSigning())
		}},
	} {
		_, body := enrolled(tt.change)
		if resp, _ := open.want(tt.status, "POST", "/portal/device", body, nil); resp.StatusCode != tt.status {
			t.Errorf("%s: got %d, want %d", tt.name, resp.StatusCode, tt.status)
		}
	}
	for _, bad := range []string{"", "*", login.Encode([]byte{1})} {
		open.want(http.StatusBadRequest, "POST", "/portal/device", jsonText(t, relayed{Event: bad}), nil)
	}
	var used []byte
	d, body := enrolled(func(in *actor.Inception) { used = in.Invitation })
	var done struct{ Actor string }
	open.want(http.StatusOK, "POST", "/portal/device", body, &done)
	if st := mustLog(t, w, d.id); done.Actor != d.id.String() || st.Kind() != actor.Device || st.Organisation() != w.org.id {
		t.Error("enrolled: got another actor, want a device of the organisation")
	}
	_, again := enrolled(func(in *actor.Inception) { in.Invitation = used })
	open.want(http.StatusForbidden, "POST", "/portal/device", again, nil)
}

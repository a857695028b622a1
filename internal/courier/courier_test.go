package courier

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/alert"
	"github.com/abaton-health/abaton/internal/deliver"
	"github.com/abaton-health/abaton/internal/detect"
)

func TestWebhookIsSigned(t *testing.T) {
	h := newHouse(t)
	k := newHook(h)
	c := h.courier(k.target(h, "siem"))
	h.once(c, "siem sent 0 waiting 0")
	h.holds(h.thief(detect.SuspendPerson))
	h.once(c, "siem sent 1 waiting 0")
	head, body := k.header[0], k.bodies[0]
	message := []byte(head.Get("webhook-id") + "." + head.Get("webhook-timestamp") + "." + string(body))
	mac := hmac.New(sha256.New, secretOf(3))
	mac.Write(message)
	good := 0
	for one := range strings.FieldsSeq(head.Get("webhook-signature")) {
		version, text, _ := strings.Cut(one, ",")
		sum, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if version == "v1" && hmac.Equal(sum, mac.Sum(nil)) || version == "v1a" && ed25519.Verify(ed25519.NewKeyFromSeed(secretOf(4)).Public().(ed25519.PublicKey), message, sum) {
			good++
		}
	}
	if good != 2 || head.Get("Content-Type") != "application/json" {
		t.Errorf("signatures that hold: got %d in %v, want 2", good, head)
	}
	var e struct {
		Type string
		Data struct {
			Activity int `json:"activity_id"`
			Severity int `json:"severity_id"`
		}
	}
	if json.Unmarshal(body, &e) != nil || e.Type != "abaton.held.created" || e.Data.Activity != 1 || e.Data.Severity != 5 {
		t.Errorf("body: got %s", body)
	}
	h.once(c, "siem sent 0 waiting 0")
	h.holds()
	h.once(c, "siem sent 1 waiting 0")
	if !strings.Contains(string(k.bodies[1]), `"type":"abaton.held.closed"`) || k.ids[0] == k.ids[1] {
		t.Errorf("close: got %s", k.bodies[1])
	}
}

func TestSyslogOverTLS(t *testing.T) {
	h := newHouse(t)
	secured := h.ca.tls()
	secured.ClientAuth = tls.RequireAndVerifyClientCert
	d := newDrain(h, secured)
	target := Target{Name: "logs", Kind: "syslog", Inside: true, Address: d.Addr().String(), CA: h.write("ca.pem", h.ca.pem), Host: "watch.clinic"}
	h.holds(h.thief(detect.SuspendSession))
	c := h.courier(target)
	// The receiver wants a certificate of ours: its alert may come before the line or after it.
	results, err := c.Once(t.Context())
	if got := told(results); err != nil || got != "logs sent 0 waiting 1 (deliver: tls)" && got != "logs sent 0 waiting 1 (deliver: connect)" {
		t.Errorf("without a certificate: got %s, %v, want waiting", got, err)
	}
	c.Close()
	target.Certificate, target.CertificateKey = h.ca.files(h)
	h.once(h.courier(target), "logs sent 1 waiting 0")
	if got := <-d.lines; !strings.HasPrefix(got, "<107>1 2027-01-15T08:00:00Z watch.clinic abaton - ALERT [abaton@32473 id=\"alr_") || !strings.Contains(got, `level="suspend-session"`) {
		t.Errorf("line: got %s", got)
	}
}

func TestMail(t *testing.T) {
	for _, one := range []struct {
		name             string
		offers, implicit bool
		want             string
	}{{"starttls", true, false, "post sent 1 waiting 0"}, {"implicit", false, true, "post sent 1 waiting 0"}, {"no TLS", false, false, "post sent 0 waiting 1 (deliver: tls)"}} {
		t.Run(one.name, func(t *testing.T) {
			h := newHouse(t)
			o := newOffice(h, one.offers, one.implicit)
			target := Target{Name: "post", Kind: "mail", Inside: true, Address: o.Addr().String(), CA: h.write("ca.pem", h.ca.pem), From: "watch@clinic.example",
				To: []string{"officer@clinic.example"}, Account: "watch", Password: h.write("password", "abaton-test-only")}
			if one.implicit {
				target.TLS = "implicit"
			}
			second := h.thief(detect.Throttle)
			second.Subject[0]++
			h.holds(h.thief(detect.SuspendPerson), second)
			h.once(h.courier(target), one.want)
			if !strings.Contains(one.want, "sent 1") {
				if strings.Contains(o.text(), "MAIL") || strings.Contains(o.text(), "AUTH") {
					t.Errorf("something was said without TLS: %s", o.text())
				}
				return
			}
			got := o.next()
			if !strings.Contains(got, "Subject: Abaton: 2 new, 0 raised, 0 ended (critical)") || !strings.Contains(got, "https://look.example/") {
				t.Errorf("letter: got %s", got)
			}
			for _, word := range []string{"act1", "ses1", "D2", "suspend"} {
				if strings.Contains(got, word) {
					t.Errorf("a letter says %s", word)
				}
			}
		})
	}
}

// TestForeignCertificate: nobody is told whom the given CA does not vouch for.
func TestForeignCertificate(t *testing.T) {
	h := newHouse(t)
	d, o := newDrain(h, newAuthority(t).tls()), newOffice(h, true, false)
	other := newAuthority(t)
	h.holds(h.thief(detect.SuspendPerson))
	c := h.courier(Target{Name: "logs", Kind: "syslog", Inside: true, Address: d.Addr().String(), CA: h.write("ca.pem", h.ca.pem)},
		Target{Name: "post", Kind: "mail", Inside: true, Address: o.Addr().String(), CA: h.write("other.pem", other.pem), From: "a@b.example", To: []string{"c@d.example"}})
	h.once(c, "logs sent 0 waiting 1 (deliver: tls); post sent 0 waiting 1 (deliver: tls)")
	if d.text() != "" || strings.Contains(o.text(), "MAIL") {
		t.Error("something was sent to a stranger")
	}
}

func TestRetry(t *testing.T) {
	h := newHouse(t)
	bad, good := newHook(h), newHook(h)
	bad.answers(503)
	h.holds(h.thief(detect.SuspendSession))
	c := h.courier(bad.target(h, "bad"), good.target(h, "good"))
	h.once(c, "bad sent 0 waiting 1 (deliver: answer: the receiver said 503); good sent 1 waiting 0")
	bad.answers(200)
	if sent, err := c.try(t.Context(), c.targets[0], false); sent || err != nil {
		t.Errorf("before its time: got %v, %v, want that it waits", sent, err)
	}
	h.after(time.Minute)
	if sent, err := c.try(t.Context(), c.targets[0], false); !sent || err != nil {
		t.Errorf("at its time: got %v, %v", sent, err)
	}
	if ids := bad.tries(); len(ids) != 2 || ids[0] != ids[1] || ids[0] != good.tries()[0] {
		t.Errorf("names: got %v, want the same at each try and target", ids)
	}
	// After three days it is given up, and the other is told.
	bad.answers(500)
	h.holds(h.thief(detect.SuspendPerson))
	h.once(c, "bad sent 0 waiting 1 (deliver: answer: the receiver said 500); good sent 1 waiting 0")
	h.after(waitMax)
	h.holds(h.thief(detect.SuspendPerson))
	h.once(c, "bad sent 0 waiting 0; good sent 1 waiting 0")
	if !strings.Contains(good.text(), `"type":"abaton.target-failed.created"`) {
		t.Error("nobody was told that a target failed")
	}
}

// TestNewerIsNotHeldUp: one that is not taken and waits long holds up no newer.
func TestNewerIsNotHeldUp(t *testing.T) {
	h := newHouse(t)
	k := newHook(h)
	k.answers(500)
	c := h.courier(k.target(h, "siem"))
	h.holds(h.thief(detect.StepUp))
	h.once(c, "siem sent 0 waiting 1 (deliver: answer: the receiver said 500)")
	k.answers(200)
	h.holds(h.thief(detect.SuspendPerson))
	if _, err := c.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the newer one, then the older one, because somebody is there again
		if sent, err := c.try(t.Context(), c.targets[0], false); !sent || err != nil {
			t.Fatalf("got %v, %v, want it sent", sent, err)
		}
	}
	if ids := k.tries(); len(ids) != 3 || ids[1] == ids[0] || ids[2] != ids[0] {
		t.Errorf("tries: got %v", ids)
	}
}

// dying sends, and its process ends before that is noted.
type dying struct{ receiver }

func (d dying) send(ctx context.Context, o abaton.ActorID, m *message, now time.Time) error {
	if err := d.receiver.send(ctx, o, m, now); err != nil {
		return err
	}
	panic("the power is gone")
}

func TestKilledBetweenSendAndNote(t *testing.T) {
	h := newHouse(t)
	k := newHook(h)
	h.holds(h.thief(detect.SuspendPerson))
	c := h.courier(k.target(h, "siem"))
	if _, err := c.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.targets[0].receiver = dying{c.targets[0].receiver}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the process did not end")
			}
		}()
		c.try(t.Context(), c.targets[0], false)
	}()
	c.Close()
	c = h.courier(k.target(h, "siem"))
	h.once(c, "siem sent 1 waiting 0")
	h.once(c, "siem sent 0 waiting 0")
	c.Close()
	h.once(h.courier(k.target(h, "siem")), "siem sent 0 waiting 0") // and after a restart in peace
	if ids := k.tries(); len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("names: got %v, want one name twice", ids)
	}
}

// TestWrittenBeforeSent: what cannot be noted does not go out.
func TestWrittenBeforeSent(t *testing.T) {
	h := newHouse(t)
	k := newHook(h)
	c := h.courier(k.target(h, "siem"))
	h.holds(h.thief(detect.SuspendPerson))
	c.s.Config.State = filepath.Join(h.dir, "not-there", "state.json")
	if _, err := c.Once(t.Context()); err == nil || len(k.tries()) != 0 {
		t.Errorf("got %v and %d tries, want an error and none", err, len(k.tries()))
	}
}

func TestRunEndsCleanly(t *testing.T) {
	h := newHouse(t)
	slow, quick := newHook(h), newHook(h)
	slow.answers(500)
	h.holds(h.thief(detect.SuspendPerson))
	c := h.courier(slow.target(h, "slow"), quick.target(h, "quick"))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	end := time.Now().Add(time.Minute)
	for len(quick.tries()) == 0 || len(slow.tries()) == 0 {
		if time.Now().After(end) {
			t.Fatal("nothing was sent")
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
	c.Close()
	slow.answers(200)
	// What was taken and not yet noted goes out again, under its name.
	results, err := h.courier(slow.target(h, "slow"), quick.target(h, "quick")).Once(t.Context())
	if got := told(results); err != nil || !strings.HasPrefix(got, "slow sent 1 waiting 0; quick sent ") || !strings.HasSuffix(got, " waiting 0") {
		t.Errorf("started again: got %s, %v, want all sent", got, err)
	}
	if names := slices.Compact(quick.tries()); len(names) != 1 {
		t.Errorf("quick: got %d names, want the one", len(names))
	}
}

func TestHeartbeatAndCheck(t *testing.T) {
	h := newHouse(t)
	k := newHook(h)
	c := h.courier(k.target(h, "siem"))
	minutes := 60
	c.s.Config.Heartbeat = &minutes
	h.once(c, "siem sent 1 waiting 0")
	h.after(59 * time.Minute)
	h.once(c, "siem sent 0 waiting 0")
	h.after(time.Minute)
	h.once(c, "siem sent 1 waiting 0")
	if !strings.Contains(string(k.bodies[1]), `"message":"All quiet"`) || k.ids[0] == k.ids[1] {
		t.Errorf("heartbeat: got %s", k.bodies[1])
	}
	// Of several that wait only the newest is of use.
	k.answers(500)
	for range 3 {
		h.after(time.Hour)
		h.once(c, "siem sent 0 waiting 1 (deliver: answer: the receiver said 500)")
	}
	k.answers(200)
	if got := told(c.Check(t.Context())); got != "siem sent 1 waiting 1" {
		t.Errorf("check: got %s", got)
	}
	if last := string(k.bodies[len(k.bodies)-1]); !strings.Contains(last, `"test":true`) || !strings.Contains(last, `"is_alert":false`) {
		t.Errorf("test alert: got %s", last)
	}
}

func TestNewTargetHearsWhatIsOpen(t *testing.T) {
	h := newHouse(t)
	one, two := newHook(h), newHook(h)
	h.holds(h.thief(detect.SuspendPerson))
	c := h.courier(one.target(h, "one"))
	h.once(c, "one sent 1 waiting 0")
	c.Close()
	h.once(h.courier(one.target(h, "one"), two.target(h, "two")), "one sent 0 waiting 0; two sent 1 waiting 0")
}

func TestPrivateAddresses(t *testing.T) {
	h := newHouse(t)
	d := newDrain(h, h.ca.tls())
	h.holds(h.thief(detect.SuspendPerson))
	c := h.courier(Target{Name: "logs", Kind: "syslog", Address: d.Addr().String(), CA: h.write("ca.pem", h.ca.pem)},
		Target{Name: "post", Kind: "mail", Address: d.Addr().String(), From: "a@b.example", To: []string{"c@d.example"}},
		Target{Name: "siem", Kind: "webhook", URL: "https://" + d.Addr().String() + "/", Secret: h.write("shared", "whsec_"+base64.StdEncoding.EncodeToString(secretOf(3)))})
	h.once(c, "logs sent 0 waiting 1 (deliver: address); post sent 0 waiting 1 (deliver: address); siem sent 0 waiting 1 (deliver: address)")
	if d.text() != "" {
		t.Error("something went inside without leave")
	}
}

func TestState(t *testing.T) {
	h := newHouse(t)
	k := newHook(h)
	c := h.courier(k.target(h, "siem"))
	state := c.s.Config.State
	if info, err := os.Stat(state); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("state: got %v, %v, want mode 600", info.Mode(), err)
	}
	again := func(o abaton.ActorID) error {
		c, err := New(Settings{Config: c.s.Config, Organisation: o, Ask: h.ask, Now: h.clock})
		if err == nil {
			c.Close()
		}
		return err
	}
	if err := again(organisation()); !errors.Is(err, ErrBusy) {
		t.Errorf("twice: got %v, want ErrBusy", err)
	}
	c.Close()
	if err := again(abaton.ActorID{9}); !errors.Is(err, ErrState) {
		t.Errorf("another organisation's: got %v, want ErrState", err)
	}
	for _, text := range []string{"", "{", "null", `{"v":2}`, `{"v":1,"organisation":"` + organisation().String() + `","queues":{"a":null}}`,
		`{"v":1,"organisation":"` + organisation().String() + `","queues":{"a":{"messages":[{"alert":{}}]}}}`} {
		if err := os.WriteFile(state, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := again(organisation()); !errors.Is(err, ErrState) {
			t.Errorf("state %q: got %v, want ErrState", text, err)
		}
	}
}

// TestNothingOfAPatient sends everything that keepers can say to receivers of each
// kind, a patient's pseudonym among it, and looks at every byte.
func TestNothingOfAPatient(t *testing.T) {
	h := newHouse(t)
	k, d, o := newHook(h), newDrain(h, h.ca.tls()), newOffice(h, true, false)
	c := h.courier(k.target(h, "siem"), Target{Name: "logs", Kind: "syslog", Inside: true, Address: d.Addr().String(), CA: h.write("ca.pem", h.ca.pem)},
		Target{Name: "post", Kind: "mail", Inside: true, Address: o.Addr().String(), CA: "ca.pem", From: "watch@clinic.example", To: []string{"officer@clinic.example"}})
	patient := abaton.ActorID{0xde, 0xad, 0xbe, 0xef, 7, 7, 7, 7}
	lie := h.thief(detect.SuspendPerson)
	lie.Subject = patient
	h.holds(h.thief(detect.SuspendPerson), lie)
	ask := c.s.Ask
	c.s.Ask = func(ctx context.Context) (alert.Look, error) {
		l, err := ask(ctx)
		l.Staff = func(who abaton.ActorID) bool { return who != patient }
		l.Answers[0].Found = map[abaton.Reason]uint64{abaton.Reason(patient.String()): uint64(h.clock().Unix()), "cloned": uint64(h.clock().Unix())}
		return l, err
	}
	for _, step := range []func(){func() {}, func() { h.holds() }, func() { h.after(2 * time.Hour) }} {
		step()
		if _, err := c.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	sent := map[string]string{"webhook": k.text(), "syslog": d.text(), "mail": o.text()}
	for where, text := range sent {
		if len(text) < 200 {
			t.Errorf("%s: got %d bytes, want some to look at", where, len(text))
		}
		for _, word := range []string{patient.String(), patient.String()[4:20], fmt.Sprintf("%x", patient[:8]), base64.StdEncoding.EncodeToString(patient[:])[:10], string(patient[:4])} {
			if strings.Contains(strings.ToLower(text), strings.ToLower(word)) {
				t.Errorf("%s: a patient's pseudonym went out", where)
			}
		}
	}
	if strings.Contains(sent["mail"], "act1") {
		t.Error("mail: somebody's pseudonym went out")
	}
	if !slices.ContainsFunc(k.bodies, func(b []byte) bool { return strings.Contains(string(b), "keeper-found") }) {
		t.Error("no finding of a keeper went out")
	}
}

// TestMailSumsUp: what comes within a minute is summed up in one letter, and a
// letter that was tried changes no more.
func TestMailSumsUp(t *testing.T) {
	h := newHouse(t)
	o := newOffice(h, true, false)
	target := Target{Name: "post", Kind: "mail", Inside: true, Address: o.Addr().String(), CA: h.write("ca.pem", h.ca.pem), From: "watch@clinic.example", To: []string{"officer@clinic.example"}}
	c := h.courier(target)
	post := c.targets[0]
	step := func(want bool, waiting int, all ...alert.Holding) {
		t.Helper()
		h.holds(all...)
		if _, err := c.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		sent, err := c.try(t.Context(), post, false)
		if sent != want || want && err != nil || len(c.memory.Queues["post"].Messages) != waiting {
			t.Errorf("got sent %v, %v, %d waiting; want %v, %d", sent, err, len(c.memory.Queues["post"].Messages), want, waiting)
		}
	}
	step(true, 0, h.thief(detect.StepUp))
	step(false, 1, h.thief(detect.Throttle)) // not again within the minute
	step(false, 1, h.thief(detect.SuspendPerson))
	h.after(time.Minute)
	step(true, 0, h.thief(detect.SuspendPerson))
	o.next()
	if got := o.next(); !strings.Contains(got, "0 new, 2 raised, 0 ended") {
		t.Errorf("second letter: got %s", got)
	}
	h.after(time.Hour)
	was := post.receiver
	post.receiver = &mail{office: deliver.Office{Reach: deliver.Public, Address: o.Addr().String()}}
	step(false, 1)
	post.receiver = was
	step(true, 1, h.thief(detect.StepUp)) // a letter of its own, which goes first: the other waits for its time
	if _, err := c.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := o.next(); !strings.Contains(got, "1 new, 0 raised, 0 ended") {
		t.Errorf("third letter: got %s", got)
	}
	h.after(time.Minute)
	step(true, 0, h.thief(detect.StepUp))
	if got := o.next(); !strings.Contains(got, "0 new, 0 raised, 1 ended") {
		t.Errorf("fourth letter: got %s", got)
	}
}

// TestNobodyAnswers: without answers there is no word of all being quiet, a refused
// asker is told so, and what waits goes out all the same.
func TestNobodyAnswers(t *testing.T) {
	h := newHouse(t)
	k := newHook(h)
	c := h.courier(k.target(h, "siem"))
	minutes := 60
	c.s.Config.Heartbeat = &minutes
	c.s.Ask = func(ctx context.Context) (alert.Look, error) {
		l, _ := h.ask(ctx)
		l.Answers = nil
		return l, fmt.Errorf("ask: %w", abaton.Refuse(abaton.ReasonCredential))
	}
	if err := c.Run(t.Context()); err == nil {
		t.Error("run: a refused asker was not told")
	}
	for range 2 {
		if _, err := c.Once(t.Context()); err == nil {
			t.Error("once: a refused asker was not told")
		}
		h.after(alert.SilentAfter * time.Second)
	}
	if got := len(k.tries()); got != 5 || strings.Contains(k.text(), "heartbeat") {
		t.Errorf("got %d alerts, want one about each keeper and no heartbeat: %s", got, k.text())
	}
}

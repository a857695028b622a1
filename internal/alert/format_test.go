package alert

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/detect"
)

// samples are one alert of each sort.
func samples(t *testing.T) (out []Alert) {
	t.Helper()
	var b Book
	out = append(out, looks(&b, 1000, all(held(1, detect.StepUp)))...)
	out = append(out, looks(&b, 1001, all(held(1, detect.SuspendPerson)))...)
	out = append(out, looks(&b, 1002, all())...)
	four := all()
	delete(four, 2)
	looks(&b, 1003, four)
	out = append(out, looks(&b, 1100, four)...)
	looks(&b, 1101, all(), func(l *Look) { l.Answers[0].Found = map[abaton.Reason]uint64{} })
	out = append(out, looks(&b, 1102, all(), func(l *Look) { l.Answers[0].Found = map[abaton.Reason]uint64{"cloned": 1} })...)
	out = append(out, Test(organisation(), [32]byte{1}, 1200), Heartbeat(organisation(), 0, 1200), Heartbeat(organisation(), 2, 1300), Failed(organisation(), "siem", 1, 1200))
	if len(out) != 9 {
		t.Fatalf("samples: got %d, want 9", len(out))
	}
	return out
}

func TestOCSF(t *testing.T) {
	seen := make(map[string]bool)
	for _, a := range samples(t) {
		var e struct {
			Category int    `json:"category_uid"`
			Class    int    `json:"class_uid"`
			Activity int    `json:"activity_id"`
			Type     int    `json:"type_uid"`
			Severity int    `json:"severity_id"`
			Time     int64  `json:"time"`
			Message  string `json:"message"`
			Finding  struct{ UID, Title string }
			Info     struct {
				UID, Title string
				Types      []string
			} `json:"finding_info"`
			Metadata struct {
				UID, Version string
				Product      struct{ Name string }
			}
			Status int `json:"status_id"`
		}
		text := a.OCSF(organisation(), "https://siem.example/x?a=1&b=2")
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatal(err)
		}
		activity := map[Act]int{Create: 1, Update: 2, Close: 3, Tell: 99}[a.Act]
		// What schema.ocsf.io demands of the class.
		if e.Category != 2 || e.Class != 2004 || e.Activity != activity || e.Type != 200400+activity || e.Severity < 1 || e.Severity > 5 ||
			e.Time != 1000*a.Time || e.Info.UID != a.Case || e.Info.Title == "" || e.Metadata.Version != "1.8.0" || e.Metadata.Product.Name == "" || e.Metadata.UID != a.ID {
			t.Errorf("%s: got %s", a.What, text)
		}
		if !strings.Contains(string(text), "a=1&b=2") {
			t.Errorf("%s: the link is not as it was", a.What)
		}
		if seen[a.ID] {
			t.Errorf("%s %s: two messages have one name", a.What, a.Act)
		}
		seen[a.ID] = true
	}
	a := samples(t)[1]
	for _, want := range []string{`"related_analytics":[{"uid":"D9","name":"honey","type_id":1}]`, `"actor":{"user":{"uid":"act1`, `"severity":"Critical"`, `"level":"suspend-person"`} {
		if !bytes.Contains(a.OCSF(organisation(), ""), []byte(want)) {
			t.Errorf("no %s in %s", want, a.OCSF(organisation(), ""))
		}
	}
}

// verify is a receiver's check as the specification of Standard Webhooks has it.
func verify(headers map[string]string, body []byte, shared []byte, public ed25519.PublicKey, now time.Time) error {
	stamp, err := strconv.ParseInt(headers["Webhook-Timestamp"], 10, 64)
	if err != nil || now.Sub(time.Unix(stamp, 0)).Abs() > 5*time.Minute {
		return errors.New("time")
	}
	message := []byte(headers["Webhook-Id"] + "." + headers["Webhook-Timestamp"] + "." + string(body))
	for one := range strings.FieldsSeq(headers["Webhook-Signature"]) {
		version, text, _ := strings.Cut(one, ",")
		sum, err := base64.StdEncoding.DecodeString(text)
		mac := hmac.New(sha256.New, shared)
		mac.Write(message)
		switch {
		case err != nil:
		case version == "v1" && shared != nil && hmac.Equal(sum, mac.Sum(nil)), version == "v1a" && public != nil && ed25519.Verify(public, message, sum):
			return nil
		}
	}
	return errors.New("no signature holds")
}

func TestWebhook(t *testing.T) {
	secret, seed := bytes.Repeat([]byte{7}, 32), bytes.Repeat([]byte{8}, 32)
	var s Signer
	if s.Ready() {
		t.Error("a signer without a key is ready")
	}
	if err := s.Shared("whsec_" + base64.StdEncoding.EncodeToString(secret) + "\n"); err != nil {
		t.Fatal(err)
	}
	if err := s.Private("whsk_" + base64.StdEncoding.EncodeToString(seed)); err != nil {
		t.Fatal(err)
	}
	rest, _ := strings.CutPrefix(s.Public(), "whpk_")
	public, err := base64.StdEncoding.DecodeString(rest)
	if err != nil || !bytes.Equal(public, ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)) {
		t.Errorf("public key: got %s", s.Public())
	}
	a, now := samples(t)[0], time.Unix(2000, 0)
	body := a.Webhook(organisation(), "")
	h := s.Sign(a.ID, now, body)
	if err := verify(h, body, secret, nil, now); err != nil {
		t.Errorf("v1: %v", err)
	}
	if err := verify(h, body, nil, public, now); err != nil {
		t.Errorf("v1a: %v", err)
	}
	for what, bad := range map[string]error{
		"another body": verify(h, append(bytes.Clone(body), ' '), secret, public, now), "later": verify(h, body, secret, public, now.Add(time.Hour)),
		"another key": verify(h, body, seed, secret, now),
	} {
		if bad == nil {
			t.Errorf("%s: got no error", what)
		}
	}
	// Of the specification's own test (libraries/go/webhook_test.go).
	var theirs Signer
	if err := theirs.Shared("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"); err != nil {
		t.Fatal(err)
	}
	got := theirs.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))[HeaderSignature]
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signature: got %s, want %s", got, want)
	}
}

func TestBadSecrets(t *testing.T) {
	pair := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	other := append(bytes.Clone(pair[:32]), make([]byte, 32)...)
	var s Signer
	for _, text := range []string{"", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 65)), "whsec_****"} {
		if err := s.Shared(text); !errors.Is(err, ErrSecret) && err == nil {
			t.Errorf("shared of %d bytes: got no error", len(text))
		}
	}
	for _, text := range []string{"", "whsk_", "whsk_AAAA", "whsk_" + base64.StdEncoding.EncodeToString(other)} {
		if err := s.Private(text); err == nil {
			t.Errorf("private of %d bytes: got no error", len(text))
		}
	}
	if s.Ready() {
		t.Error("a bad secret was taken")
	}
	if err := s.Private("whsk_" + base64.StdEncoding.EncodeToString(pair)); err != nil {
		t.Errorf("a whole key: %v", err)
	}
}

// syslogLine is RFC 5424, section 6, for what we send.
var syslogLine = regexp.MustCompile(`^<(\d{1,3})>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (\S{1,255}) abaton - ALERT \[abaton@32473(?: [a-z0-9-]{1,32}="(?:[^"\\\]]|\\["\\\]])*")+\] [ -~]+$`)

func TestSyslog(t *testing.T) {
	for _, a := range samples(t) {
		line := a.Syslog(organisation(), "watch.clinic", `https://x.example/"]\`)
		m := syslogLine.FindSubmatch(line)
		if m == nil || string(m[1]) != strconv.Itoa(13*8+7-a.Severity()) || string(m[2]) != "watch.clinic" {
			t.Errorf("%s: got %s", a.What, line)
		}
	}
	if got := string(Frame([]byte("ab"), []byte("c d"))); got != "2 ab3 c d" {
		t.Errorf("frame: got %q", got)
	}
	for text, want := range map[string]bool{"": true, "a.b": true, "a b": false, "ü": false, strings.Repeat("a", 256): false, "a\n": false} {
		if Host(text) != want {
			t.Errorf("host %q: got %v", text, !want)
		}
	}
}

func TestMail(t *testing.T) {
	var s Sum
	for _, a := range samples(t)[:5] {
		s.Add(&a)
	}
	l := Letter{ID: "alr_1", From: "watch@clinic.example", To: []string{"a@clinic.example", "b@clinic.example"}, Link: "https://look.example/", Time: time.Unix(0, 0)}
	got := string(s.Mail(&l))
	want := "From: watch@clinic.example\r\nTo: a@clinic.example, b@clinic.example\r\nSubject: Abaton: 3 new, 1 raised, 1 ended (critical)\r\n" +
		"Date: Thu, 01 Jan 1970 00:00:00 +0000\r\nMessage-ID: <alr_1@clinic.example>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: text/plain; charset=us-ascii\r\n\r\nNew alerts: 3\r\nRaised:     1\r\nEnded:      1\r\nOpen now:   0\r\n\r\n" +
		"Who and why is not in this mail. A security officer sees it with\r\nabaton watch status.\r\n\r\nhttps://look.example/\r\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if strings.Contains(got, "act1") || strings.Contains(got, "D9") {
		t.Error("a mail says whom or why")
	}
	for text, want := range map[string]bool{"a@b.c": true, "a@b@c": false, "@b": false, "a@": false, "a b@c": false, "a@b\r\nBcc: x@y": false, "<a@b>": false, "ü@b": false, "a@b,c@d": false} {
		if Address(text) != want {
			t.Errorf("address %q: got %v", text, !want)
		}
	}
	for text, want := range map[string]bool{"https://a.example/x": true, "http://a.example": false, "https://u:p@a.example": false, "https://a.example/ x": false, "https://": false, "": false, "https://a\r\nX: y": false} {
		if Link(text) != want {
			t.Errorf("link %q: got %v", text, !want)
		}
	}
}

func TestNothingIsNotSaid(t *testing.T) {
	for name, f := range map[string]func(*Alert){"ocsf": func(a *Alert) { a.OCSF(organisation(), "") }, "syslog": func(a *Alert) { a.Syslog(organisation(), "", "") }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: the zero alert was written", name)
				}
			}()
			f(new(Alert))
		}()
	}
	if a := new(Alert); a.Valid() {
		t.Error("the zero alert is valid")
	}
}

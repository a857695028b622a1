package courier

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/alert"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
)

// house is a folder with a configuration, and keepers that say what they are told
// to.
type house struct {
	t   *testing.T
	dir string
	ca  *authority

	mu   sync.Mutex
	now  time.Time
	says map[abaton.KeeperIndex][]alert.Holding
}

func organisation() abaton.ActorID { return abaton.ActorID{1, 2, 3} }

func newHouse(t *testing.T) *house {
	t.Helper()
	return &house{t: t, dir: t.TempDir(), ca: newAuthority(t), now: time.Unix(1_800_000_000, 0), says: make(map[abaton.KeeperIndex][]alert.Holding)}
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) after(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// holds has all five keepers say it.
func (h *house) holds(all ...alert.Holding) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for x := range abaton.KeeperIndex(5) {
		h.says[x+1] = all
	}
}

func (h *house) thief(level detect.Level) alert.Holding {
	now := h.clock().Unix()
	return alert.Holding{Kind: contain.KindPerson, Subject: [32]byte{77}, Level: level, Rules: detect.Of(detect.D2), By: []abaton.KeeperIndex{1, 2}, Since: now, Until: now + 86400,
		Verdicts: [][32]byte{{5}}}
}

func (h *house) ask(context.Context) (alert.Look, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := alert.Look{Organisation: organisation(), Now: h.now.Unix()}
	for x := range abaton.KeeperIndex(5) {
		l.Keepers = append(l.Keepers, x+1)
		l.Answers = append(l.Answers, alert.Answer{Keeper: x + 1, Held: h.says[x+1]})
	}
	return l, nil
}

func (h *house) write(name, text string) string {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return name
}

// courier begins anew with these targets, as after a restart.
func (h *house) courier(targets ...Target) *Courier {
	h.t.Helper()
	text, err := json.Marshal(map[string]any{"state": "state.json", "link": "https://look.example/", "heartbeat_minutes": 0, "targets": fields(h.t, targets)})
	if err != nil {
		h.t.Fatal(err)
	}
	config, err := ReadConfig(filepath.Join(h.dir, h.write("alerts.json", string(text))))
	if err != nil {
		h.t.Fatal(err)
	}
	c, err := New(Settings{Config: config, Organisation: organisation(), Ask: h.ask, Now: h.clock})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	return c
}

func fields(t *testing.T, targets []Target) (out []map[string]any) {
	for _, one := range targets {
		text, err := json.Marshal(one)
		var m map[string]any
		if err != nil || json.Unmarshal(text, &m) != nil {
			t.Fatal("a target has no JSON")
		}
		out = append(out, m)
	}
	return out
}

// once is one round, whose results are as wanted: sent and waiting by target.
func (h *house) once(c *Courier, want string) {
	h.t.Helper()
	results, err := c.Once(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	if got := told(results); got != want {
		h.t.Errorf("round: got %s, want %s", got, want)
	}
}

func told(results []Result) string {
	var words []string
	for _, r := range results {
		word := fmt.Sprintf("%s sent %d waiting %d", r.Target, r.Sent, r.Waiting)
		if r.Fault != "" {
			word += " (" + r.Fault + ")"
		}
		words = append(words, word)
	}
	return strings.Join(words, "; ")
}

// authority is a test's own CA.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.key, a.cert, a.pem = certify(t, nil, nil)
	return a
}

// certify makes a certificate for 127.0.0.1, by itself or by somebody.
func certify(t *testing.T, by *x509.Certificate, with *ecdsa.PrivateKey) (*ecdsa.PrivateKey, *x509.Certificate, string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "abaton-test-only"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: by == nil,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	if by == nil {
		by, with = c, k
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, &k.PublicKey, with)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return k, c, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func (a *authority) tls() *tls.Config {
	k, c, _ := certify(a.t, a.cert, a.key)
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{c.Raw}, PrivateKey: k}}, ClientCAs: pool}
}

// files writes a client's certificate and key.
func (a *authority) files(h *house) (cert, key string) {
	k, _, text := certify(a.t, a.cert, a.key)
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return h.write("own.pem", text), h.write("own.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// wiretap keeps every byte that arrived anywhere.
type wiretap struct {
	mu  sync.Mutex
	all []byte
}

func (w *wiretap) add(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, b...)
}

func (w *wiretap) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.all)
}

// hook is an HTTP receiver.
type hook struct {
	*httptest.Server
	wiretap
	mu     sync.Mutex
	status int
	ids    []string // of every try
	bodies [][]byte
	header []http.Header
}

func newHook(h *house) *hook {
	k := &hook{status: 200}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var head bytes.Buffer
		r.Header.Write(&head)
		k.add(head.Bytes())
		k.add(body)
		k.mu.Lock()
		defer k.mu.Unlock()
		k.ids, k.bodies, k.header = append(k.ids, r.Header.Get("Webhook-Id")), append(k.bodies, body), append(k.header, r.Header.Clone())
		w.WriteHeader(k.status)
	}))
	h.t.Cleanup(k.Close)
	return k
}

func (k *hook) answers(status int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status = status
}

func (k *hook) tries() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.ids...)
}

func secretOf(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func (k *hook) target(h *house, name string) Target {
	return Target{Name: name, Kind: "webhook", Inside: true, URL: k.URL + "/in",
		Secret: h.write("shared", "whsec_"+base64.StdEncoding.EncodeToString(secretOf(3))+"\n"),
		Key:    h.write("private", "whsk_"+base64.StdEncoding.EncodeToString(secretOf(4)))}
}

// drain is a syslog receiver over TLS.
type drain struct {
	net.Listener
	wiretap
	lines chan string
}

func newDrain(h *house, c *tls.Config) *drain {
	l, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		h.t.Fatal(err)
	}
	d := &drain{Listener: l, lines: make(chan string, 64)}
	var end sync.WaitGroup
	end.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			d.take(conn)
		}
	})
	h.t.Cleanup(func() { l.Close(); end.Wait() })
	return d
}

// take reads frames by octet counting until the sender has no more.
func (d *drain) take(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		digits, err := r.ReadString(' ')
		size, e := strconv.Atoi(strings.TrimSpace(digits))
		if err != nil || e != nil {
			return
		}
		line := make([]byte, size)
		if _, err := io.ReadFull(r, line); err != nil {
			return
		}
		d.add(line)
		d.lines <- string(line)
	}
}

// office is a small SMTP receiver.
type office struct {
	net.Listener
	wiretap
	offers  bool // STARTTLS
	letters chan string
}

func newOffice(h *house, offers, implicit bool) *office {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	secured := h.ca.tls()
	o := &office{Listener: l, offers: offers, letters: make(chan string, 64)}
	var end sync.WaitGroup
	end.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if implicit {
				conn = tls.Server(conn, secured)
			}
			o.converse(conn, secured, implicit)
		}
	})
	h.t.Cleanup(func() { l.Close(); end.Wait() })
	return o
}

func (o *office) converse(conn net.Conn, secured *tls.Config, safe bool) {
	defer func() { conn.Close() }()
	c := textproto.NewConn(conn)
	c.PrintfLine("220 post")
	for {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		o.add([]byte(line + "\n"))
		switch word := strings.ToUpper(strings.Fields(line + " -")[0]); {
		case word == "EHLO" && o.offers && !safe:
			c.PrintfLine("250-post")
			c.PrintfLine("250 STARTTLS")
		case word == "EHLO":
			c.PrintfLine("250-post")
			c.PrintfLine("250 AUTH PLAIN")
		case word == "STARTTLS":
			c.PrintfLine("220 go on")
			conn = tls.Server(conn, secured)
			c, safe = textproto.NewConn(conn), true
		case !safe && word != "QUIT":
			c.PrintfLine("530 not without TLS")
		case word == "AUTH":
			c.PrintfLine("235 good")
		case word == "DATA":
			c.PrintfLine("354 go on")
			text, err := c.ReadDotBytes()
			if err != nil {
				return
			}
			o.add(text)
			o.letters <- string(text)
			c.PrintfLine("250 taken")
		case word == "QUIT":
			c.PrintfLine("221 bye")
			return
		default:
			c.PrintfLine("250 well")
		}
	}
}

// next is the letter that was handed over before; empty for none.
func (o *office) next() string {
	select {
	case got := <-o.letters:
		return got
	default:
		return ""
	}
}

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/daemon"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// folder is a gateway's folder with keys and a keeper set nobody runs.
func folder(t *testing.T) (dir string, set *actor.Set) {
	t.Helper()
	dir = t.TempDir()
	d := actor.Document{V: wire.Version, N: 5, K: 3, T: 3, W: 4, F: 1,
		RelyingParty: key.RelyingParty{ID: "localhost", Origins: []string{"https://localhost"}}}
	var keys []*key.Signing
	for i := range 5 {
		k := key.NewSigning()
		e := actor.Keeper{X: abaton.KeeperIndex(i + 1), Key: k.ID(), Box: key.NewBox().Public().Bytes(), URL: fmt.Sprintf("https://127.0.0.1:%d", i+1),
			Operator: fmt.Sprintf("operator %d", i+1), SPKI: sha256.Sum256([]byte{byte(i)}), Origin: fmt.Sprintf("ledger %d", i+1)}
		rand.Read(e.Incarnation[:])
		d.Keepers, keys = append(d.Keepers, e), append(keys, k)
	}
	in := &actor.Inception{Kind: actor.KeeperSet, Document: d.Marshal()}
	rand.Read(in.Nonce[:])
	event := actor.NewInception(time.Now().Unix(), in)
	var proofs []actor.Proof
	for _, k := range keys {
		proofs = append(proofs, actor.ByKey(k, event))
	}
	file := actor.MarshalSet([]actor.SignedEvent{actor.Signed(event, proofs...)})
	set, err := actor.ParseSet(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "set.cbor"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, set
}

func settingsFile(set *actor.Set, more string) string {
	return fmt.Sprintf("dir = \".\"\nset = \"set.cbor\"\nset_id = %q\norganisation = %q\n", set.ID(), abaton.ActorID{1}) + more
}

func runWith(t *testing.T, dir, text string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	path := filepath.Join(dir, "gateway.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{"-config", path}, args...), &out, &errs)
	return code, out.String(), errs.String()
}

func TestInitMakesKeysOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "g")
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"init", "-dir", dir}, &out, &errs); code != daemon.ExitOK {
		t.Fatalf("init: got %d %s, want 0", code, errs.String())
	}
	var a announcement
	if err := json.Unmarshal(out.Bytes(), &a); err != nil || !strings.HasPrefix(a.Writer, "key1") || len(a.Box) < 1600 {
		t.Errorf("init printed %s, %v: want the public halves", out.String(), err)
	}
	id, err := loadIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	if id.announcement() != a {
		t.Error("the key file holds other keys than were announced")
	}
	info, err := os.Stat(filepath.Join(dir, daemon.IdentityFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file mode: got %v, %v, want 0600", info.Mode(), err)
	}
	if code := run(t.Context(), []string{"init", "-dir", dir}, &out, &errs); code != daemon.ExitFailed {
		t.Errorf("init again: got %d, want it refused", code)
	}
	if err := os.Chmod(filepath.Join(dir, daemon.IdentityFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := loadIdentity(dir); err == nil {
		t.Error("a key file open to others was read")
	}
}

func TestCheckPrintsTheEffectiveSettings(t *testing.T) {
	dir, set := folder(t)
	if err := initGateway(dir, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	code, out, errs := runWith(t, dir, settingsFile(set, ""), "-check")
	if code != daemon.ExitOK {
		t.Fatalf("-check: got %d %s", code, errs)
	}
	// Every setting and its default: a change here is a change for operators.
	for _, want := range []string{"dir = ", "listen = '127.0.0.1:8080'", "tls_cert = ''", "tls_key = ''", "admin = ''", "set = ",
		"set_id = '" + set.ID().String(), "organisation = 'act1", "shutdown_seconds = 20", "validate = 'off'", "object_max_mb = 8192", "apps = ''", "authenticators = ''", "duty = ''", "url = ''", "requests_per_person = 2000", "requests_per_address = 50", "notify_origins = []", "writer key1", "keeper set act1"} {
		if !strings.Contains(out, want) {
			t.Errorf("-check: no %q in\n%s", want, out)
		}
	}
	if n := strings.Count(out[:strings.Index(out, "\n\n")], "\n") + 1; n != 18 {
		t.Errorf("-check: got %d settings, want 18", n)
	}
}

func TestBadSettings(t *testing.T) {
	dir, set := folder(t)
	if err := initGateway(dir, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	good := settingsFile(set, "")
	for name, c := range map[string]struct{ text, want string }{
		"unknown":        {good + "colour = 1\n", "unknown setting"},
		"not toml":       {"x", "settings"},
		"no dir":         {strings.Replace(good, "dir = \".\"\n", "", 1), "dir is missing"},
		"no set":         {strings.Replace(good, "set = \"set.cbor\"\n", "", 1), "set and set_id"},
		"another set":    {strings.Replace(good, set.ID().String(), abaton.ActorID{2}.String(), 1), "not the set named"},
		"organisation":   {strings.Replace(good, abaton.ActorID{1}.String(), "act1", 1), "organisation"},
		"plain HTTP":     {good + "listen = \"0.0.0.0:1\"\n", "loopback"},
		"plain, by name": {good + "listen = \"localhost:1\"\n", "loopback"},
		"no port":        {good + "listen = \"127.0.0.1\"\n", "listen"},
		"half TLS":       {good + "tls_cert = \"x\"\n", "go together"},
		"no such TLS":    {good + "listen = \"127.0.0.1:0\"\ntls_cert = \"x\"\ntls_key = \"y\"\n", "tls_cert"},
		"public admin":   {good + "admin = \"0.0.0.0:1\"\n", "admin"},
		"no rate":        {good + "requests_per_person = 0\n", "requests_per_person"},
		"plain origin":   {good + "notify_origins = [\"http://ehr.example\"]\n", "notify_origins"},
		"validate":       {good + "validate = \"strict\"\n", "validate is off, warn or refuse"},
		"shutdown":       {good + "shutdown_seconds = 0\n", "shutdown_seconds"},
	} {
		code, _, errs := runWith(t, dir, c.text)
		if code != daemon.ExitFailed || !strings.Contains(errs, c.want) {
			t.Errorf("%s: got %d %q, want 1 and %q", name, code, errs, c.want)
		}
	}
	for _, args := range [][]string{nil, {"-config"}, {"-x"}, {"init"}, {"-config", "x", "y"}} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), args, &out, &errs); code != daemon.ExitUsage {
			t.Errorf("run(%q): got %d, want 2", args, code)
		}
	}
}

// TestServesAndStops runs the real thing: keepers are away, which /health and
// /metadata do not need.
func TestServesAndStops(t *testing.T) {
	dir, set := folder(t)
	if err := initGateway(dir, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	front, admin := freeAddress(t), freeAddress(t)
	path := filepath.Join(dir, "gateway.toml")
	if err := os.WriteFile(path, []byte(settingsFile(set, fmt.Sprintf("listen = %q\nadmin = %q\n", front, admin))), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	var errs bytes.Buffer
	go func() { ended <- run(ctx, []string{"-config", path}, &bytes.Buffer{}, &errs) }()
	await(t, ended, "http://"+front+"/health")
	resp, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("/metrics: got %d, want 200", resp.StatusCode)
	}
	stop()
	if code := <-ended; code != daemon.ExitOK {
		t.Errorf("stopped: got %d, want 0: %s", code, errs.String())
	}
	if !strings.Contains(errs.String(), "gateway stopped") {
		t.Errorf("log: got %s, want it to say that the gateway stopped", errs.String())
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// await asks until the address answers or the process has ended.
func await(t *testing.T, ended <-chan int, url string) {
	t.Helper()
	for {
		resp, err := http.Get(url)
		if err == nil {
			resp.Body.Close()
			return
		}
		select {
		case code := <-ended:
			t.Fatalf("ended with %d before it answered", code)
		default:
		}
	}
}

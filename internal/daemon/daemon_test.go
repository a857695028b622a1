package daemon

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// sample is the key file of a daemon that there is not.
type sample struct {
	V     uint8  `cbor:"1,keyasint"`
	First []byte `cbor:"2,keyasint"`
	Other []byte `cbor:"3,keyasint"`
}

func (s *sample) Fields() (*uint8, []*[]byte) { return &s.V, []*[]byte{&s.First, &s.Other} }

func TestRun(t *testing.T) {
	var did string
	var loud bool
	m := Main{
		Name: "abaton-sample", Usage: "how to use it\n",
		Init:  func(dir string, _ io.Writer) error { did = "init " + dir; return nil },
		Sub:   map[string]func([]string) error{"sign": func(args []string) error { did = "sign " + strings.Join(args, ","); return nil }},
		Flags: func(f *flag.FlagSet) { f.BoolVar(&loud, "loud", false, "") },
		Check: func(path string, _ io.Writer) error { did = "check " + path; return nil },
		Serve: func(_ context.Context, path string, _ *slog.Logger) error {
			did = fmt.Sprint("serve ", path, " ", loud)
			return errors.New("it broke")
		},
	}
	for _, c := range []struct {
		args, did, says string
		code            int
	}{
		{"-config a.toml -check", "check a.toml", "", ExitOK},
		{"-config a.toml -loud", "serve a.toml true", "abaton-sample: it broke\n", ExitFailed},
		{"init -dir d", "init d", "", ExitOK},
		{"init", "", m.Usage, ExitUsage},
		{"init -dir d more", "", m.Usage, ExitUsage},
		{"sign a b", "sign a,b", "", ExitOK},
		{"", "", m.Usage, ExitUsage},
		{"-check", "", m.Usage, ExitUsage},
		{"-config a.toml more", "", m.Usage, ExitUsage},
		{"-unknown", "", m.Usage, ExitUsage},
		{"other -config a.toml", "", m.Usage, ExitUsage},
	} {
		did = ""
		var out, errs bytes.Buffer
		code := m.Run(t.Context(), strings.Fields(c.args), &out, &errs)
		if code != c.code || did != c.did || errs.String() != c.says || out.Len() != 0 {
			t.Errorf("%q: got %d, did %q, said %q; want %d, %q, %q", c.args, code, did, errs.String(), c.code, c.did, c.says)
		}
	}
}

func TestIdentity(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	var made, read sample
	if err := MakeIdentity(dir, "a sample", &made); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, IdentityFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: got %v, %v, want 0600", info.Mode(), err)
	}
	if err := ReadIdentity(dir, &read); err != nil || !bytes.Equal(read.First, made.First) || !bytes.Equal(read.Other, made.Other) ||
		bytes.Equal(made.First, made.Other) {
		t.Errorf("read back: got another identity, %v", err)
	}
	if err := MakeIdentity(dir, "a sample", new(sample)); err == nil || !strings.Contains(err.Error(), "a sample keeps its keys") {
		t.Errorf("made twice: got %v, want refused", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := ReadIdentity(dir, new(sample)); err == nil || !strings.Contains(err.Error(), "open to others") {
		t.Errorf("open to a group: got %v, want refused", err)
	}
	if err := ReadIdentity(t.TempDir(), new(sample)); err == nil {
		t.Error("no file: got an identity")
	}
}

func TestDamagedIdentity(t *testing.T) {
	whole := sample{V: wire.Version, First: make([]byte, 32), Other: make([]byte, 32)}
	for name, c := range map[string]struct {
		file []byte
		want bool
	}{
		"whole":           {wire.Marshal(whole), true},
		"empty":           {nil, false},
		"cut":             {wire.Marshal(whole)[:60], false},
		"longer":          {append(wire.Marshal(whole), 0), false},
		"another version": {wire.Marshal(sample{V: 9, First: whole.First, Other: whole.Other}), false},
		"a short secret":  {wire.Marshal(sample{V: wire.Version, First: whole.First[:31], Other: whole.Other}), false},
		"no secret":       {wire.Marshal(sample{V: wire.Version, First: whole.First}), false},
	} {
		if err := ParseIdentity(c.file, new(sample)); (err == nil) != c.want {
			t.Errorf("%s: got %v, want accepted %v", name, err, c.want)
		}
	}
}

func FuzzParseIdentity(f *testing.F) {
	f.Add(wire.Marshal(sample{V: wire.Version, First: make([]byte, 32), Other: make([]byte, 32)}))
	f.Fuzz(func(t *testing.T, file []byte) {
		var s sample
		if ParseIdentity(file, &s) == nil && !bytes.Equal(wire.Marshal(s), file) {
			t.Error("accepted, and not the one form")
		}
	})
}

func TestSet(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	if _, err := ReadSet(none, ""); err == nil {
		t.Error("no file: got a set")
	}
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSet(bad, ""); err == nil {
		t.Error("a damaged file: got a set")
	}
}

func TestDialLeavesOneOut(t *testing.T) {
	set := new(actor.Set)
	for x := range abaton.KeeperIndex(3) {
		scalar := key.NewSecret()
		_, pin, err := keeper.NewCertificate(scalar[:])
		if err != nil {
			t.Fatal(err)
		}
		set.Keepers = append(set.Keepers, actor.Keeper{X: x + 1, URL: "https://127.0.0.1:1", SPKI: pin})
	}
	as := func(k *keeper.Client) *keeper.Client { return k }
	for own, want := range map[abaton.KeeperIndex]int{0: 3, 2: 2} {
		got, closeAll, err := Dial(set, own, as)
		if err != nil || len(got) != want || own != 0 && got[own] != nil {
			t.Fatalf("without %d: got %d, %v; want %d", own, len(got), err, want)
		}
		closeAll()
	}
	set.Keepers[2].URL = "ftp://nowhere"
	if _, _, err := Dial(set, 0, as); err == nil {
		t.Error("an address that is none: got dialled")
	}
}

// TestServiceEnds: told to end, or when something beside it fails; what runs beside
// ends first, and nothing is left running.
func TestServiceEnds(t *testing.T) {
	broken := errors.New("it broke")
	for _, c := range []struct {
		name string
		fail bool
	}{{"told to", false}, {"a failure", true}} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		routes := http.NewServeMux()
		routes.HandleFunc("GET /health", Alive)
		admin, err := Admin("127.0.0.1:0", routes)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := false
		s := Service{Front: &http.Server{Handler: routes}, Listener: ln, Admin: admin, Grace: time.Minute, Beside: []func(context.Context) error{
			func(ctx context.Context) error { <-ctx.Done(); ended = true; return nil },
			func(ctx context.Context) error {
				get, err := http.Get("http://" + ln.Addr().String() + "/health")
				if err != nil {
					return err
				}
				body, _ := io.ReadAll(get.Body)
				get.Body.Close()
				if string(body) != "ok\n" {
					t.Errorf("%s: health: got %q", c.name, body)
				}
				if c.fail {
					return broken
				}
				cancel()
				return nil
			},
		}}
		if err := s.Run(ctx); c.fail != errors.Is(err, broken) || !c.fail && err != nil {
			t.Errorf("%s: got %v", c.name, err)
		}
		cancel()
		if !ended {
			t.Errorf("%s: what runs beside has not ended", c.name)
		}
		if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
			t.Errorf("%s: it still listens", c.name)
		}
	}
	if _, err := Admin("127.0.0.1:x", nil); err == nil {
		t.Error("an address that is none: got listening")
	}
	if admin, err := Admin("", nil); err != nil || admin.Close() != nil {
		t.Error("no address: got an error, want nothing served")
	}
}

package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type sample struct {
	Dir   string `toml:"dir"`
	Count int    `toml:"count"`
	Inner struct {
		On bool `toml:"on"`
	} `toml:"inner"`
}

func TestRead(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"dir = \"a\"\n[inner]\non = true\n", ""},
		{"", ""},
		{"dirr = \"a\"\n", "unknown setting"},
		{"[inner]\noff = true\n", "unknown setting"},
		{"count = \"many\"\n", "settings: "},
		{"dir = \"a\"\ndir = \"b\"\n", "settings: "},
		{"dir = ", "settings: "},
	} {
		path := filepath.Join(t.TempDir(), "x.toml")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		s := sample{Count: 7}
		base, err := Read(path, &s)
		switch {
		case c.want == "" && (err != nil || s.Count != 7 || base != filepath.Dir(path)):
			t.Errorf("%q: got %+v in %s, %v; want the defaults kept", c.text, s, base, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%q: got %v, want %q", c.text, err, c.want)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none.toml"), &sample{}); err == nil {
		t.Error("no file: got no error")
	}
}

func TestUnder(t *testing.T) {
	empty, relative, absolute := "", "set.json", "/etc/set.json"
	Under("/base", &empty, &relative, &absolute)
	if empty != "" || relative != "/base/set.json" || absolute != "/etc/set.json" {
		t.Errorf("got %q, %q, %q", empty, relative, absolute)
	}
}

func TestLoopback(t *testing.T) {
	for addr, want := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "localhost:1": false, "0.0.0.0:1": false, "10.0.0.1:1": false, "127.0.0.1": false, "": false} {
		if got := Loopback(addr); got != want {
			t.Errorf("%q: got %v, want %v", addr, got, want)
		}
	}
}

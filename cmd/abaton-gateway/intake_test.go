package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/abaton-health/abaton"

	"github.com/abaton-health/abaton/internal/daemon"
)

func TestIntakeSettings(t *testing.T) {
	dir, set := folder(t)
	if code, _, stderr := initIn(t, dir); code != daemon.ExitOK {
		t.Fatalf("init: %s", stderr)
	}
	actor := fmt.Sprintf("actor = %q\n", abaton.ActorID{2})
	for name, c := range map[string]struct{ text, want string }{
		"none":                   {"", ""},
		"loopback":               {"[intake]\nlisten = \"127.0.0.1:2575\"\n" + actor + "zone = \"UTC\"\n[intake.systems]\nHOSP = \"http://x\"\n", ""},
		"an address for all":     {"[intake]\nlisten = \"0.0.0.0:2575\"\n" + actor, "loopback"},
		"no address":             {"[intake]\n" + actor, "intake.listen is missing"},
		"no port":                {"[intake]\nlisten = \"127.0.0.1\"\n" + actor, "intake.listen"},
		"no actor":               {"[intake]\nlisten = \"127.0.0.1:2575\"\n", "intake.actor"},
		"certificates, no TLS":   {"[intake]\nlisten = \"0.0.0.0:2575\"\nclient_ca = \"ca.pem\"\n" + actor, "tls_cert"},
		"a zone that is nowhere": {"[intake]\nlisten = \"127.0.0.1:2575\"\nzone = \"Nowhere/Land\"\n" + actor, "intake.zone"},
		"unknown":                {"[intake]\nport = 2575\n", "unknown setting"},
	} {
		code, _, stderr := runWith(t, dir, settingsFile(set, c.text), "-check")
		if (code == daemon.ExitOK) != (c.want == "") || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: got %d %q, want %q", name, code, stderr, c.want)
		}
	}
}

// initIn makes keys in a folder.
func initIn(t *testing.T, dir string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	code = run(t.Context(), []string{"init", "-dir", dir}, &out, &errs)
	return code, out.String(), errs.String()
}

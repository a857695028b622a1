package courier

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goodConfig = `{
 "state": "state.json",
 "link": "https://look.example/",
 "targets": [
  {"name": "siem", "kind": "webhook", "url": "https://siem.example/in", "secret_file": "shared"},
  {"name": "logs", "kind": "syslog", "address": "logs.example:6514"},
  {"name": "post", "kind": "mail", "address": "post.example:587", "from": "a@b.example", "to": ["c@d.example"]}
 ]
}`

func TestReadConfig(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"good":             {"", "", ""},
		"unknown":          {`"state": "state.json",`, "\"state\": \"state.json\",\n \"colour\": 1,", "line 3: unknown field"},
		"unknown of one":   {`"kind": "syslog"`, `"kind": "syslog", "port": 1`, "line 6: unknown field"},
		"twice":            {`"link": "https`, `"state": "x", "link": "https`, `line 3: "state" stands twice`},
		"twice, case":      {`"link": "https`, `"STATE": "x", "link": "https`, "stands twice"},
		"wrong sort":       {`"state": "state.json"`, `"state": 7`, "line 2: state is no string"},
		"no JSON":          {`"state"`, `state`, "line 2"},
		"behind":           {"\n}", "\n} {}", "line 9: something stands behind"},
		"no state":         {`"state": "state.json",`, ``, "state says"},
		"link":             {"https://look", "http://look", "link is no https"},
		"http":             {"https://siem", "http://siem", "url is no https"},
		"loopback":         {"https://siem.example", "http://127.0.0.1:1", "url is no https"},
		"who in url":       {"https://siem", "https://a@siem", "url is no https"},
		"no secret":        {`, "secret_file": "shared"`, ``, "nothing to sign with"},
		"kind":             {`"mail"`, `"pigeon"`, "kind is"},
		"another's":        {`"kind": "syslog"`, `"kind": "syslog", "url": "https://x.example"`, "a syslog does not have"},
		"same name":        {`"logs"`, `"siem"`, "a name of its own"},
		"name":             {`"logs"`, `"../logs"`, "a name of its own"},
		"address":          {"logs.example:6514", "logs.example", "host:port"},
		"no plain address": {"c@d.example", "C <c@d.example>", "plain addresses"},
		"half an account":  {`"from"`, `"account": "x", "from"`, "go together"},
		"plain":            {`"from"`, `"tls": "none", "from"`, "tls is"},
		"half a pair":      {`"logs.example:6514"`, `"logs.example:6514", "certificate_file": "x"`, "go together"},
		"often":            {`"link"`, `"every_seconds": 600, "link"`, "every_seconds"},
		"heartbeat":        {`"link"`, `"heartbeat_minutes": -1, "link"`, "heartbeat"},
		"nobody":           {goodConfig, `{"state": "x", "targets": []}`, "targets"},
	} {
		path := filepath.Join(t.TempDir(), "alerts.json")
		if err := os.WriteFile(path, []byte(strings.Replace(goodConfig, c.old, c.new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadConfig(path)
		switch {
		case c.want == "" && (err != nil || got.State != filepath.Join(filepath.Dir(path), "state.json") || len(got.Targets) != 3):
			t.Errorf("%s: got %+v, %v", name, got, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestSecretsAreSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shared")
	for mode, want := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: false, 0o604: false} {
		os.Remove(path)
		if err := os.WriteFile(path, []byte("abaton-test-only\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		got, err := secret(path)
		if want != (err == nil) || want && got != "abaton-test-only" {
			t.Errorf("mode %o: got %v, want it taken: %v", mode, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "abaton-test-only") {
			t.Error("an error has the secret")
		}
	}
}

func FuzzDecodeStrict(f *testing.F) {
	f.Add([]byte(goodConfig))
	f.Add([]byte(`{"targets":[{"to":["a"]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c := new(Config)
		if decodeStrict(text, c) == nil {
			c.check()
		}
	})
}

package main

import (
	"strings"
	"testing"
)

const small = "abaton-attack 1\nname a\nthief insider\nphase\n  reads 3\n  every 1s\n  victims strangers\n"

func TestScriptStrict(t *testing.T) {
	if _, err := parseScript(small); err != nil {
		t.Fatalf("the smallest script: got %v, want nil", err)
	}
	for name, text := range map[string]string{
		"no first line":     strings.TrimPrefix(small, "abaton-attack 1\n"),
		"another version":   strings.Replace(small, "attack 1", "attack 2", 1),
		"no name":           strings.Replace(small, "name a\n", "", 1),
		"a name with space": strings.Replace(small, "name a", "name a b", 1),
		"no thief":          strings.Replace(small, "thief insider\n", "", 1),
		"unknown thief":     strings.Replace(small, "insider", "ghost", 1),
		"no phase":          "abaton-attack 1\nname a\nthief insider\n",
		"unknown word":      strings.Replace(small, "name a\n", "name a\ncolour red\n", 1),
		"said twice":        strings.Replace(small, "name a\n", "name a\nname a\n", 1),
		"twice in a phase":  small + "  reads 4\n",
		"no reads":          strings.Replace(small, "  reads 3\n", "", 1),
		"no pace":           strings.Replace(small, "  every 1s\n", "", 1),
		"no victims":        strings.Replace(small, "  victims strangers\n", "", 1),
		"too many reads":    strings.Replace(small, "reads 3", "reads 20001", 1),
		"no time":           strings.Replace(small, "1s", "0s", 1),
		"negative time":     strings.Replace(small, "1s", "-1s", 1),
		"part of a ms":      strings.Replace(small, "1s", "1500us", 1),
		"too long a time":   strings.Replace(small, "1s", "505h", 1),
		"unknown victims":   strings.Replace(small, "strangers", "friends", 1),
		"head in a phase":   small + "  count 2\n",
		"bad bound":         small + "  under 4\n",
		"empty bound":       small + "  under\n",
		"five bounds":       small + "  under 1/1h 2/2h 3/3h 4/4h 5/5h\n",
		"value for none":    small + "  emergency now\n",
		"nine phases":       small + strings.Repeat("phase\n  reads 3\n  every 1s\n  victims own\n", 8),
		"too large":         small + strings.Repeat("#", scriptBytesMax),
	} {
		if s, err := parseScript(text); err == nil {
			t.Errorf("%s: got a script with %d phases, want an error", name, len(s.phases))
		}
	}
}

// TestOurScripts reads what is in attacks, each under the name of its file.
func TestOurScripts(t *testing.T) {
	var o options
	all, err := o.scripts()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 14 {
		t.Errorf("attacks: got %d, want the set", len(all))
	}
	for _, s := range all {
		if _, err := ours.ReadFile("attacks/" + s.name + ".attack"); err != nil {
			t.Errorf("attack %s: the file has another name", s.name)
		}
	}
}

func FuzzScript(f *testing.F) {
	f.Add(small)
	var o options
	all, err := o.scripts()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range all {
		f.Add(s.String())
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseScript(text)
		if err != nil {
			return
		}
		again, err := parseScript(s.String())
		if err != nil || again.String() != s.String() {
			t.Errorf("a script and what it says of itself: got %v and another text, want the same", err)
		}
	})
}

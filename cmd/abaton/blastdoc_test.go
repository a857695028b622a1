package main

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestBlastJSONIsDocumented: every name of abaton blast --json stands in
// OPERATING.md.
func TestBlastJSONIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/OPERATING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), `<a id="blast"></a>`)
	section, _, _ = strings.Cut(section, "<a id=")
	names := jsonNames(reflect.TypeFor[blastList]())
	if len(names) < 20 {
		t.Errorf("got %d names, want all of the form", len(names))
	}
	for _, name := range names {
		if !strings.Contains(section, "`"+name+"`") {
			t.Errorf("docs/OPERATING.md#blast does not say what %q is", name)
		}
	}
}

func jsonNames(t reflect.Type) (names []string) {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(append(names, name), jsonNames(t.Field(i).Type)...)
	}
	return names
}

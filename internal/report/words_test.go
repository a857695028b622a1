package report

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var verb = regexp.MustCompile(`%[a-z]`)

// TestEveryLanguageSaysEverything: each name has words in each language, with the
// same things to be put in.
func TestEveryLanguageSaysEverything(t *testing.T) {
	first := wordsOf("en")
	for language, w := range languages() {
		a, b := reflect.ValueOf(*first), reflect.ValueOf(*w)
		for i := range a.NumField() {
			name := a.Type().Field(i).Name
			for key, text := range textsOf(a.Field(i)) {
				other := textsOf(b.Field(i))[key]
				if other == "" || len(textsOf(a.Field(i))) != len(textsOf(b.Field(i))) {
					t.Errorf("%s: %s %s: no words, or other names than in English", language, name, key)
				}
				if !slices.Equal(verb.FindAllString(text, -1), verb.FindAllString(other, -1)) {
					t.Errorf("%s: %s %s: got %v to put in, want those of %v", language, name, key, verb.FindAllString(other, -1), verb.FindAllString(text, -1))
				}
			}
		}
	}
	if len(languages()) < 2 {
		t.Errorf("got %d languages, want two", len(languages()))
	}
}

// textsOf are the texts in a field, by key or place.
func textsOf(v reflect.Value) map[string]string {
	all := make(map[string]string)
	switch v.Kind() {
	case reflect.String:
		all[""] = v.String()
	case reflect.Slice:
		for i := range v.Len() {
			all[string(rune('a'+i))] = v.Index(i).String()
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			all[k.String()] = v.MapIndex(k).String()
		}
	}
	return all
}

// blame are words that make a reader feel at fault; a letter has none of them.
var blame = map[string][]string{
	"en": {"your fault", "should have", "you failed", "careless", "you must", "unfortunately you"},
	"nl": {"uw schuld", "had moeten", "u hebt nagelaten", "onvoorzichtig", "u moet", "helaas hebt u"},
}

func TestNobodyIsBlamed(t *testing.T) {
	for language, w := range languages() {
		if len(blame[language]) == 0 {
			t.Errorf("%s: nobody said which words blame", language)
		}
		v := reflect.ValueOf(*w)
		for i := range v.NumField() {
			for _, text := range textsOf(v.Field(i)) {
				for _, word := range blame[language] {
					if strings.Contains(strings.ToLower(text), word) {
						t.Errorf("%s: %q: want no %q", language, text, word)
					}
				}
			}
		}
	}
}

// TestHelplines: each country's have a date, sources and words for what they are for.
func TestHelplines(t *testing.T) {
	files, err := helpFiles.ReadDir("help")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files, %v", len(files), err)
	}
	for _, f := range files {
		h := HelpIn(strings.ToUpper(strings.TrimSuffix(f.Name(), ".json")))
		if h == nil || len(h.Lines) == 0 || h.Note == "" {
			t.Errorf("%s: no helplines, or nothing said of how sure they are", f.Name())
			continue
		}
		for _, l := range h.Lines {
			if l.Source == "" || l.Contact.Phone == "" || wordsOf("en").HelpFor[l.For] == "" {
				t.Errorf("%s: %s: no source, number, or words for what it is for", f.Name(), l.Contact.Name)
			}
		}
	}
	for _, none := range []string{"", "XX", "nl", "../", "N/"} {
		if HelpIn(none) != nil {
			t.Errorf("%q: got helplines, want none", none)
		}
	}
	own := []Helpline{}
	if got := (&Settings{Country: "NL", Helplines: own}).helplines(); len(got) != 0 {
		t.Errorf("got %d helplines, want none where the settings name none", len(got))
	}
	if _, err := ParseSettings([]byte(`{"helplines":[{"for":"fun"}]}`)); err == nil {
		t.Error("a helpline for what no letter has words for was taken")
	}
}

// TestSensitiveClassesStayOut: no letter has words for a class that others must not
// read on paper.
func TestSensitiveClassesStayOut(t *testing.T) {
	for _, class := range []string{"addiction", "genetic", "hiv-sti", "psychiatric", "psychotherapy-notes", "reproductive", "safeguarding"} {
		if inLetters(class) || !slices.Contains(Classes(), class) {
			t.Errorf("%s: a letter names it, or nobody may state it", class)
		}
		for language, w := range languages() {
			if _, is := w.Classes[class]; is {
				t.Errorf("%s has words for %s", language, class)
			}
		}
	}
	if got := slices.Sorted(maps.Keys(wordsOf("en").Classes)); len(got) < 6 {
		t.Errorf("got %v, want the priority categories among them", got)
	}
}

package login

import (
	"bytes"
	"encoding/base64"
	"testing"

	"github.com/abaton-health/abaton/internal/fhir"
)

// FuzzDecode: bytes have one text, and every other text is refused.
func FuzzDecode(f *testing.F) {
	f.Add("AAAA")
	f.Add("AAAB=")
	f.Add("AB")
	f.Fuzz(func(t *testing.T, text string) {
		b, err := Decode(text)
		if err == nil && Encode(b) != text {
			t.Errorf("Decode(%q): accepted, but it is written %q", text, Encode(b))
		}
		if err != nil {
			if _, strict := base64.RawURLEncoding.Strict().DecodeString(text); strict == nil && Encode(b) == text {
				t.Errorf("Decode(%q): refused", text)
			}
		}
		if again, err := Decode(Encode([]byte(text))); err != nil || !bytes.Equal(again, []byte(text)) {
			t.Errorf("round trip of %q: got %q, %v", text, again, err)
		}
	})
}

func TestDirectoryIsNoCategoryOfPatients(t *testing.T) {
	if c, ok := fhir.CategoryByID(DirectoryCategory()); ok {
		t.Errorf("the directory's category is %v of patients, want none", c)
	}
}

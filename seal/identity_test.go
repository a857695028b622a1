package seal

import (
	"bytes"
	"testing"

	"github.com/abaton-health/abaton/key"
)

// TestBodyIsSealed holds in the real build and fails to hold in the mutant
// build, so that a drill that greps for plaintext can be seen to see it.
func TestBodyIsSealed(t *testing.T) {
	text := []byte("abaton-test-only: allergic to penicillin")
	word, err := sealBody(key.NewSecret(), text, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := bytes.Contains(word, text); got != Identity {
		t.Errorf("plaintext in the code word: got %v, want %v", got, Identity)
	}
}

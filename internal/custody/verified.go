package custody

import (
	"crypto/sha256"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// hashOf names a signed message by its body.
func hashOf(body []byte) [32]byte { return sha256.Sum256(body) }

// verified reads a signed message and verifies it under the key it names.
func verified(data []byte, label wire.Label, id func(body []byte) (abaton.KeyID, error)) ([]byte, error) {
	var s wire.Signed
	if wire.Unmarshal(data, &s) != nil {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	k, err := id(s.Body)
	if err != nil {
		return nil, err
	}
	if !key.Verify(k, label, s.Body, s.Sig) {
		return nil, abaton.Refuse(abaton.ReasonSignature)
	}
	return s.Body, nil
}

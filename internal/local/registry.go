package local

import (
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/key"
)

// makeRegistry makes the office that keeps the register of custody, incapacity
// and death. It has no gateway: nobody holds the private half of its box, so
// nothing can be given to it to read.
func (n *Network) makeRegistry() error {
	none := people.Gateway{Writer: key.NewSigning().ID(), Box: key.NewBox().Public()}
	p, err := n.people.NewOrganisation(RegistryHandle, "Sample Registry", none)
	if err != nil {
		return err
	}
	n.form.Registry = p.ID.String()
	return nil
}

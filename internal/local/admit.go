package local

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"

	"github.com/abaton-health/abaton"
)

// Admit lets another organisation in at every keeper, as each operator would
// by command. It holds from the keepers' next start.
func (n *Network) Admit(id abaton.ActorID) error {
	for x := abaton.KeeperIndex(1); x <= Keepers; x++ {
		path := filepath.Join(n.KeeperDir(x), keeperSettings)
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("admit organisation: %w", err)
		}
		settings := make(map[string]any)
		if err := toml.Unmarshal(text, &settings); err != nil {
			return fmt.Errorf("admit organisation: keeper %d: %w", x, err)
		}
		admitted, _ := settings["organisations"].([]any)
		settings["organisations"] = append(admitted, id.String())
		if err := writeTOML(path, settings); err != nil {
			return fmt.Errorf("admit organisation: keeper %d: %w", x, err)
		}
	}
	return nil
}

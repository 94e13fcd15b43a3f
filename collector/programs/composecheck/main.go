// Composecheck loads each compose file named on its command line with Compose's own parser, fully
// (interpolation, defaults, schema, consistency), and prints the services found. Exit status 1: one
// of the files is not valid.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	failed := len(os.Args) < 2
	for _, file := range os.Args[1:] {
		options, err := cli.NewProjectOptions([]string{file}, cli.WithOsEnv, cli.WithName("tradespan"))
		if err == nil {
			project, loadErr := options.LoadProject(context.Background())
			if err = loadErr; err == nil {
				fmt.Println(file, project.ServiceNames())
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, file+":", err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

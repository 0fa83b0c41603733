// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) < 2 || os.Args[1] != "scripts" {
		fmt.Fprintln(os.Stderr, "usage: go run ./bench scripts [-rounds N] [-seconds N] [-ironic URL]")
		os.Exit(2)
	}
	if err := scripts(ctx, os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

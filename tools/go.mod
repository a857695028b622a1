module github.com/abaton-health/abaton/tools

go 1.26.0

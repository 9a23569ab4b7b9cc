module animus.local/launcher

go 1.26

#Requires -Version 5.1
<#
.SYNOPSIS
    The gate for PowerShell: the steps of `make check` in the same order, stopping at the first failure.

.DESCRIPTION
    On Windows a step marked `unix` runs inside WSL, which needs make and python3 (`wsl --install`, then
    `sudo apt install make python3-venv`), because

        locks    scripts/locks.sh and scripts/environment.sh are shell scripts
        types    the modules under local/ use fcntl, which mypy knows on Unix only
        imports  the step sets a variable in the way of a Unix shell
        audit    its tools are fetched by shell scripts
        pytest   the tests deploy the whole system: its build calls make, its processes need Unix signals

    All other steps run natively, in environments under .local/windows. On Linux and macOS all steps run in
    the environments of `make setup`.

.PARAMETER NativeOnly
    Skips the steps that need Unix, for machines without WSL. Names the skipped steps and exits with 3, because
    this is not the whole gate.
#>
[CmdletBinding()]
param([switch] $NativeOnly)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
Set-Location (Split-Path -Parent $PSScriptRoot)

$Windows = $env:OS -eq 'Windows_NT'
$Environments = if ($Windows) { '.local/windows' } else { '.local/envs' }
$Programs = if ($Windows) { 'Scripts' } else { 'bin' }
$Code = @('functions', 'layers', 'openapi', 'local', 'tests', 'cli', 'scripts', 'benchmarks', 'examples', 'clients/python' | Where-Object { Test-Path $_ })
$Typed = @('functions', 'layers', 'openapi', 'local', 'tests', 'cli', 'scripts', 'benchmarks', 'clients/python/src' | Where-Object { Test-Path $_ })
$env:SAM_CLI_TELEMETRY = '0'
$env:AWS_DEFAULT_REGION = 'eu-west-1'

# One row for each step of `make check`: its name, where it runs, and the words of its command. The first word of
# a native command is the environment, the second its program. A test compares the rows with the Makefile.
$Steps = @(
    @('locks',        'unix',   'scripts/locks.sh', 'check'),
    @('format',       'native', 'dev', 'ruff', 'format', '--check', $Code),
    @('lint',         'native', 'dev', 'ruff', 'check', $Code),
    @('types',        'unix',   '.local/envs/dev/bin/mypy', $Typed),
    @('imports',      'unix',   'PYTHONPATH=functions', '.local/envs/dev/bin/lint-imports', '--no-cache'),
    @('sam validate', 'native', 'sam', 'sam', 'validate', '--lint'),
    @('cfn-lint',     'native', 'dev', 'cfn-lint', 'template.yaml'),
    @('audit',        'unix',   'make', '--silent', 'audit'),
    @('pytest',       'unix',   '.local/envs/dev/bin/pytest', '-n', '2', '--dist', 'loadgroup', '--cov', '--cov-report=term', 'tests')
)

function Invoke-Program([string] $Program, [string[]] $Words) {
    & $Program @Words
    if ($LASTEXITCODE -ne 0) { throw "$Program ended with $LASTEXITCODE" }
}

function Get-Uv {
    $found = Get-Command uv -ErrorAction SilentlyContinue
    if ($found) { return $found.Source }
    $own = "$Environments/uv/$Programs/uv"
    if (-not (Test-Path "$Environments/uv/lock.txt")) {
        Write-Host "environments: uv is not on PATH, installing it into $Environments/uv"
        $python = if ($Windows) { 'py' } else { 'python3' }
        Invoke-Program $python @('-m', 'venv', "$Environments/uv") | Out-Host
        Invoke-Program "$Environments/uv/$Programs/python" @('-m', 'pip', 'install', '--quiet', '--require-hashes',
            '--only-binary=:all:', '-r', 'requirements/uv.txt') | Out-Host
        Copy-Item requirements/uv.txt "$Environments/uv/lock.txt"
    }
    return $own
}

function Sync-Environment([string] $Name) {
    $lock = "requirements/$Name.txt"
    $stamp = "$Environments/$Name/lock.txt"
    if ((Test-Path $stamp) -and (Get-FileHash $stamp).Hash -eq (Get-FileHash $lock).Hash) { return }
    $uv = Get-Uv
    Write-Host "environments: creating $Environments/$Name from $lock"
    if (-not (Test-Path "$Environments/$Name")) {
        Invoke-Program $uv @('venv', '--quiet', '--no-project', '--python', '3.13', "$Environments/$Name")
    }
    Invoke-Program $uv @('pip', 'sync', '--quiet', '--require-hashes', '--python', "$Environments/$Name", $lock)
    Copy-Item $lock $stamp
}

function Invoke-Native([string[]] $Words) {
    Sync-Environment $Words[0]
    Invoke-Program "$Environments/$($Words[0])/$Programs/$($Words[1])" @($Words | Select-Object -Skip 2)
}

function Invoke-Unix([string[]] $Words) {
    $line = "make --silent setup && $($Words -join ' ')"
    if (-not $Windows) { return Invoke-Program 'sh' @('-c', $line) }
    if (-not (Get-Command wsl -ErrorAction SilentlyContinue)) {
        throw 'this step needs WSL (wsl --install); -NativeOnly skips it, and then this is not the whole gate'
    }
    Invoke-Program 'wsl' @('--exec', 'sh', '-c', $line)
}

$skipped = @()
foreach ($step in $Steps) {
    $name, $where = $step[0..1]
    $words = @($step | Select-Object -Skip 2 | ForEach-Object { $_ })
    Write-Host "`n== $name"
    if ($NativeOnly -and $where -eq 'unix') {
        Write-Host "-- ${name}: SKIPPED, it needs Unix"
        $skipped += $name
        continue
    }
    $started = Get-Date
    try {
        if ($where -eq 'unix') { Invoke-Unix $words } else { Invoke-Native $words }
    } catch {
        Write-Host "-- ${name}: FAILED, $([int]((Get-Date) - $started).TotalSeconds) s"
        Write-Host $_.Exception.Message
        exit 1
    }
    Write-Host "-- ${name}: passed, $([int]((Get-Date) - $started).TotalSeconds) s"
}
if ($skipped) {
    Write-Host "`nThis was not the whole gate: $($skipped -join ', ') did not run."
    exit 3
}

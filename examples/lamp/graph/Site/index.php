<?php
// GET answers all notes, as JSON; POST adds what is sent as a note.

$site = require __DIR__ . '/site.php';
try {
    $database = new mysqli(...$site['databases'][0]);
    if ($_SERVER['REQUEST_METHOD'] === 'POST') {
        $text = file_get_contents('php://input');
        $database->prepare('INSERT INTO notes (text) VALUES (?)')->execute([$text]);
    }
    $notes = $database->query('SELECT text FROM notes ORDER BY id')->fetch_all();
    $answer = ['site' => $site['path'], 'notes' => array_column($notes, 0)];
} catch (mysqli_sql_exception $error) {
    http_response_code(503);
    $answer = ['site' => $site['path'], 'error' => $error->getMessage()];
}
header('Content-Type: application/json');
echo json_encode($answer, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE), "\n";

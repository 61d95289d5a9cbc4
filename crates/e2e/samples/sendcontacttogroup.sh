curl --location 'https://{{bot_url}}/api/sendcontact' \
--header 'secretKey: {{secret_key}}' \
--header 'Content-Type: application/json' \
--data '{
"groupid": "120363xxxxxxxxxxx",
"notifyurl" : "https://yourdomain/your_notify_url"
,
"contact" : {
    "name":"Test",
    "numbers":[
        "628124xxxxxx","628125xxxxxx","628126xxxxxx"
        ]
}
}'

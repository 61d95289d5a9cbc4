curl --location 'https://{{bot_url}}/api/checknumber' \
--header 'secretkey: {{secret_key}};' \
--header 'Content-Type: application/json' \
--data '{
    "nohp":"628123xxxxxx"
}'
